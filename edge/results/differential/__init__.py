"""Counts cells into a differential: percentages, their intervals, and flags."""
