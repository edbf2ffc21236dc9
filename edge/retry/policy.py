"""Delays between attempts, and how many attempts there are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays double from `first_delay_s` to `max_delay_s`; after `attempts` failures they end."""

    attempts: int = 5
    first_delay_s: float = 1.0
    max_delay_s: float = 60.0

    def delay_s(self, failures: int) -> float:
        """The delay after this many failures in a row, from 1, in seconds."""
        # Bounded, as the power would overflow; 2**30 first delays exceed any limit.
        doubled = self.first_delay_s * 2.0 ** min(failures - 1, 30)
        return min(doubled, self.max_delay_s)

    def is_exhausted(self, failures: int) -> bool:
        """Whether no more attempts are allowed after this many failures in a row."""
        return failures >= self.attempts
