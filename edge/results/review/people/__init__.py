"""Who may review: the site's list with PINs, or the system's user."""
