"""Drift of an analyzer's images: following it, announcing it, and showing the last weeks."""
