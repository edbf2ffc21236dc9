"""Checks the model card against labelled images. See docs/diagnosis.md."""
