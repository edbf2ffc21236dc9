"""Evaluates each graph of a bundle on labelled images."""
