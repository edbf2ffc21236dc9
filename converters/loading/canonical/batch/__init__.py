"""Makes the batch dynamic in graphs that were exported with a fixed batch."""
