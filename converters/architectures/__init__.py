"""Builds the network that the card names, for files that hold only weights."""
