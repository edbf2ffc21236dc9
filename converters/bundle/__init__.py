"""Writes the bundle, with its evidence and report."""
