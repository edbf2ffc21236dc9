"""Series made of given durations, as if they had been measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edge.bench.statistics.series import Series, WarmUp


def series_of(durations_ms: ArrayLike, *, turn: int = 5, **fields: Any) -> Series:
    """A single stream: each call starts when the last is done; `turn` calls are a turn."""
    durations_ns = np.round(np.asarray(durations_ms, float) * 1e6).astype(np.int64)
    ends_ns = np.cumsum(durations_ns)
    given: dict[str, Any] = {
        "subject": "int8",
        "level": "image",
        "mode": "single_stream",
        "starts_ns": ends_ns - durations_ns,
        "turns": np.arange(len(durations_ns)) // turn,
        "warm_up": WarmUp(20, 0.1, is_stable=True),
        "window_ns": int(ends_ns[-1]) if len(ends_ns) else 0,
        **fields,
    }
    return Series(durations_ns=durations_ns, **given)
