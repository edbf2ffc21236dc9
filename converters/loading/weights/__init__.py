"""Finds the network's weights in a file and loads them into the network."""
