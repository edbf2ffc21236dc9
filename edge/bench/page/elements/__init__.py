"""HTML elements, and numbers as people read them."""
