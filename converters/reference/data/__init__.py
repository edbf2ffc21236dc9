"""Data sets of blood cells as labelled folders: lists of images, and the splits."""
