"""How much is measured; light, for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# The least of bursts, of passes offline and of rounds of the daemon: the median of fewer has no
# interval.
LEAST_BURSTS: Final = 7
LEAST_PASSES: Final = 6
LEAST_ROUNDS: Final = 7


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is measured: the seconds of all series together, or the samples of each.

    Exactly one of the two is given. Warm-up comes before, is not counted, and takes at most
    `warm_up_s` for each.
    """

    seconds: float | None = None
    samples: int | None = None
    warm_up_s: float = 5.0
