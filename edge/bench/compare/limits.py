"""How much slower counts as a regression; light, for the command line."""

from __future__ import annotations

from typing import Final

DEFAULT_ALLOW_PERCENT: Final = 5.0
LEAST_ALLOW_PERCENT: Final = 0.1
MOST_ALLOW_PERCENT: Final = 1_000.0
