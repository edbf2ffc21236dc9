"""Serves the page: who may ask, what is answered, and how a person is known."""
