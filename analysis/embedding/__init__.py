"""The search for near rows that `analysis.neighbors` is made of."""
