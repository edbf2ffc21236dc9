"""Threads that watch the service: hung calls, the known image, reports of its health."""
