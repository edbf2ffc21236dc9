"""Types of the functions that are called with the progress of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# Called with (step, done, total).
OnProgress: TypeAlias = Callable[[str, int, int], None]
# Called with (done, total) of one step, such as `partial(on_progress, step)`.
OnCount: TypeAlias = Callable[[int, int], None]
