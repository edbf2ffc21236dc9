"""Reads pickles as plain data, without importing or calling anything that they name."""
