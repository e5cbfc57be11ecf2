"""What the queue should say: decisions on columns; ``publish`` writes what differs."""
