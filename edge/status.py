"""How an image ended."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """How an image ended. Every image has exactly one status."""

    LABELLED = "labelled"
    UNIDENTIFIED = "unidentified"
    REJECTED = "rejected"
