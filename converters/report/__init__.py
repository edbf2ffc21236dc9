"""The report of a conversion as one HTML page."""
