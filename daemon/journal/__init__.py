"""The journal in SQLite: the queue of the images and the memory of their outcomes."""
