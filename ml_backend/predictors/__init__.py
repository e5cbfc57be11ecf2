"""Models: one file per kind, one small protocol, one registry."""
