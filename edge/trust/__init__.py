"""Trust: whether an image is of the laboratory, and whether an analyzer's images have changed."""
