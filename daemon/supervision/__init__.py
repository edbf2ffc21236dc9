"""Threads that watch the service: hung calls, the known image, reports to the outside."""
