"""Draws images of blood cells, for the demonstration and for tests."""
