"""What the results of slides need to know of those that were issued."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from edge.results.document.result import SlideResult, Verification


class History(Protocol):
    """What was issued before; `Issued` is one."""

    def last(self, slide_key: str) -> SlideResult | None:
        """The last revision of a slide."""

    def alike_samples(self, sample_id: str) -> Sequence[str]:
        """Other issued sample ids that a LIS may take for this one."""

    def slides_of(self, sample_id: str) -> Sequence[str]:
        """The keys of the slides of a sample that have results."""

    def slides_with(self, cells: Iterable[str]) -> Sequence[str]:
        """The keys of slides with a result of some of these cells, by their hashes."""

    def number_of(self, slide_key: str) -> int:
        """When the last revision of a slide was issued, as a number that grows; 0 if none was."""

    def verifications_of(self, slide_key: str) -> Sequence[Verification]:
        """The verifications that made results of a slide."""

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

    def slides_with(self, _cells: Iterable[str]) -> Sequence[str]:
        """None."""
        return ()

    def number_of(self, _slide_key: str) -> int:
        """None: 0."""
        return 0

    def verifications_of(self, _slide_key: str) -> Sequence[Verification]:
        """None."""
        return ()

    def said_complete(self, _slide_key: str) -> tuple[str, datetime] | None:
        """None."""
        return None
