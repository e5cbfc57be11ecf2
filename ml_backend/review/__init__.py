"""What the queue should say: pure decisions on columns, no Label Studio and no scores."""
