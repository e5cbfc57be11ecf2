"""From tasks to predictions: which model, what it is given, what it answers, how that is shown."""
