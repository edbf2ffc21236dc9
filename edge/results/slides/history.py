"""What the results of slides need to know of those that were issued."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from edge.results.document.result import SlideResult


class History(Protocol):
    """What was issued before; `Issued` is one."""

    def last(self, slide_key: str) -> SlideResult | None:
        """The last revision of a slide."""

    def alike_samples(self, sample_id: str) -> Sequence[str]:
        """Other issued sample ids that a LIS may take for this one."""

    def slides_of(self, sample_id: str) -> Sequence[str]:
        """The keys of the slides of a sample that have results."""

    def was_issued_elsewhere(self, slide_key: str, cells: Iterable[str]) -> bool:
        """Whether the same cells were issued as another slide."""

    def said_complete(self, slide_key: str) -> tuple[str, datetime] | None:
        """Who said that a slide is complete, and when."""


class NoHistory:
    """Nothing was issued."""

    def last(self, _slide_key: str) -> SlideResult | None:
        """None."""
        return None

    def alike_samples(self, _sample_id: str) -> Sequence[str]:
        """None."""
        return ()

    def slides_of(self, _sample_id: str) -> Sequence[str]:
        """None."""
        return ()

    def was_issued_elsewhere(self, _slide_key: str, _cells: Iterable[str]) -> bool:
        """False."""
        return False

    def said_complete(self, _slide_key: str) -> tuple[str, datetime] | None:
        """None."""
        return None
