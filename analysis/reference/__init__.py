"""Other tools' scores under their own names, so that their users find the numbers they know."""
