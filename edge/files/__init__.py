"""Reads files with limits, writes them durably, and parses JSON and YAML strictly."""
