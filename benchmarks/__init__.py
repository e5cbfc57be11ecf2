"""Relook beside its peers, on the same inputs in the same run."""
