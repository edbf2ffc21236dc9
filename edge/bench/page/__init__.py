"""The page of a measurement: one HTML file with its pictures, no script, no request."""
