"""Log lines for journald, in which no image and no patient can be recognised."""
