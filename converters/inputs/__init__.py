"""Reads the model card and the folders of labelled images."""
