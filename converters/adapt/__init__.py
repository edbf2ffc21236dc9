"""Gives a bundle a new last layer, fitted to a laboratory's own labelled cells."""
