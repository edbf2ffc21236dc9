"""The formats that a profile may name."""
