"""Sends results to a LIS: durable, in order, each once."""
