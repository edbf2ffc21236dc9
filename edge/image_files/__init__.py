"""Reads image files with limits, checks that they are complete, and decodes them."""
