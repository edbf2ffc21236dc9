"""Finds the files of a model: in a folder, split into parts, or not a model at all."""
