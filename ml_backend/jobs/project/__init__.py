"""What is done to the tasks of one project: read, predict, embed, learn, score, note, write."""
