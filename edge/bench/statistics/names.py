"""The levels and modes of a measurement; light, for the command line."""

from __future__ import annotations

from typing import Literal, TypeAlias

Level: TypeAlias = Literal["engine", "call", "image", "file"]
Mode: TypeAlias = Literal[
    "single_stream", "offline", "open_loop_constant", "open_loop_poisson", "burst"
]
