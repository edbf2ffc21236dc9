"""Shares of counted images and cells, with exact confidence intervals."""
