"""Installing the service under systemd, and removing it."""
