"""Finds the images below a folder, and counts the files that are skipped."""
