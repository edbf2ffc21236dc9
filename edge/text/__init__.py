"""Counts, progress and times as text, and text that is safe to print."""
