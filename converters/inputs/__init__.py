"""Folders of labelled images and the names of their classes."""
