"""Labels and predictions of tasks through the scores of ``analysis``, and findings back."""
