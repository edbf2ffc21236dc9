"""How the cost of an image changes with files, workers and rows of the journal."""
