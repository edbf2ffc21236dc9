"""Reads figures out of the evidence, and writes numbers with their units."""
