"""What works and what does not, and what systemd and Prometheus are told of it."""
