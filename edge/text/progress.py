"""What a step calls to say how far it is, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# Gets the step, what of it is done, and of how much.
OnProgress: TypeAlias = Callable[[str, int, int], None]
# The same for one step whose name the caller knows, as `partial(on_progress, step)` gives it.
OnCount: TypeAlias = Callable[[int, int], None]
