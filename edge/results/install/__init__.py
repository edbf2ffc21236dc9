"""Installing the service that sends results under systemd, and removing it."""
