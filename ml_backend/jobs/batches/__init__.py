"""Relabel batches: ordered, sent, and their answers brought back."""
