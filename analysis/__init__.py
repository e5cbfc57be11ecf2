"""Label error scores on typed arrays: no I/O, nothing of Label Studio."""
