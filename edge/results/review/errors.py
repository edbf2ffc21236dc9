"""What the page must tell a person instead of recording a decision."""

from __future__ import annotations

from edge.errors import EdgeError


class ChangedError(EdgeError):
    """The slide has another last entry than the caller knows; nothing was appended."""
