"""Several annotators: votes, consensus, and who can be trusted."""
