"""Refuses what no browser of a person at the page would ask."""
