"""Formats counts and progress, and makes text safe to print."""
