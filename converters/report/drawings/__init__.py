"""Draws the pictures of the report: bars, histograms and curves, as inline SVG."""
