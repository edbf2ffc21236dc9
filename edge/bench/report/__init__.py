"""The document of a measurement, and its table for people."""
