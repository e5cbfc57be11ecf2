"""Relook: an ML backend for Label Studio that gives every human label a second look."""

__version__ = "0.1.0"
