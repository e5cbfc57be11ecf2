"""Regions of any shape: how they overlap and which belong together."""
