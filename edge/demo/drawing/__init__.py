"""Drawn cells, for the demonstration and for tests without a patient's image."""
