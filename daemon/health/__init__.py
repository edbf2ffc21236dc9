"""The health and counts of the service, and the messages to systemd and Prometheus."""
