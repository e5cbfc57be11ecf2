"""What matched regions come to: outcomes, rates, curves."""
