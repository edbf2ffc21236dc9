"""Finds values for a new model card in the model file."""
