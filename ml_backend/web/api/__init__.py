"""The HTTP interface, for the review page and the command line."""
