"""Image files: read with bounds, checked to be whole, decoded."""
