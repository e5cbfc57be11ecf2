"""Labels that the model gives by itself, and taking them back."""
