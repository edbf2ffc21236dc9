"""Listens at one address, and holds every connection to its limits."""
