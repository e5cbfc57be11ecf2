"""What people ask to be done with tasks, kept, done and undone."""
