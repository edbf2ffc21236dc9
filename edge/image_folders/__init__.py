"""Which files below a folder are images that can be read, and what is left out."""
