"""Tasks and their annotations, read as columns."""
