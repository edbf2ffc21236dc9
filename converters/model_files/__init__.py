"""Models that lie in several files, folders of files, and files that hold no model."""
