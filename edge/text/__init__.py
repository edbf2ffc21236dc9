"""Counts, times and ids as text, Unicode forms, and text that is safe to print."""
