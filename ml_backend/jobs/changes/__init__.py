"""What changed in Label Studio without our being told: found again."""
