"""Helpers for Linux: locks, mounts, calls that may hang, signals, memory."""
