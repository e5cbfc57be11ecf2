"""Files of tasks: fetched, kept and decoded."""
