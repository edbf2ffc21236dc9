"""The type of a clock, so that tests can pass their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# Seconds, such as time.monotonic's.
Clock: TypeAlias = Callable[[], float]
