"""Builds TensorRT engines for a bundle, checks them on this machine and reports."""
