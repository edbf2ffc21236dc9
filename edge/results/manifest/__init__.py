"""Manifests: CSV files beside the images that name their samples and slides."""
