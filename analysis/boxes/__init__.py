"""What a detector says about human boxes, and how far it can be trusted."""
