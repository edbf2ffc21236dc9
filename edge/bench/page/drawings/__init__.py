"""Draws the pictures of a measurement as inline SVG."""
