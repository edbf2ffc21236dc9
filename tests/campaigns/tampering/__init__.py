"""Tampers with records of reviews, and what the check must find."""
