"""Facts about one image: watch folder, ids, outcome, and why other files are left out."""
