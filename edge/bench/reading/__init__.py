"""Reads the document of a measurement, whoever wrote it."""
