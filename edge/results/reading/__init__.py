"""Reads sidecars: typed, as a table, and checked against the images."""
