"""Label Studio's regions, to columns and back."""
