"""The page itself: its fixed files, which the server gives by their names."""
