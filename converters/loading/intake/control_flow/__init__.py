"""If and Loop: written out where they do the same for every image, refused elsewhere."""
