"""Counts, times, ids and tables as text, Unicode forms, and text that is safe to print."""
