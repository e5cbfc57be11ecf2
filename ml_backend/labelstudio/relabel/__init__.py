"""Relabel projects and tabs: where batches go, and what comes back."""
