"""Inference back ends, and the choice between them."""
