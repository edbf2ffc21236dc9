"""Pickles read as plain data: nothing that they name is imported or called."""
