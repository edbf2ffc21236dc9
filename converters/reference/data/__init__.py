"""Reads data sets of blood cell images: class folders, and manifests with splits."""
