"""Sidecars on the disk: where they go, whose names are taken, and what happens in an outage."""
