"""Gives the input of the last linear layer as a second output of every graph."""
