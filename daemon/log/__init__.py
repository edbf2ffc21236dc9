"""Log lines for journald, without the names of images and patients."""
