"""Verifications: what a person says about every cell of a slide, as files."""
