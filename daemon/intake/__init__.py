"""Finding new images in the watch folders, and waiting until each is complete."""
