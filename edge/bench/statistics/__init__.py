"""Turns measured durations into figures with intervals, or says why there is none."""
