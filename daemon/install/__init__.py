"""Installing the service under systemd, and taking it away again."""
