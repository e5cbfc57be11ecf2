"""What Relook computed and can compute again, as columns on disk."""
