"""Inlines If and Loop nodes that do the same for every image, and refuses others."""
