"""The outcomes that are right for a hostile image."""

from __future__ import annotations

import random
from typing import Final

from edge.errors import RejectReason

Expected = frozenset[RejectReason | None]
# None stands for "decodes".
LABELLED: Final[Expected] = frozenset({None})
REJECTED: Final[Expected] = frozenset(RejectReason)
EITHER: Final[Expected] = LABELLED | REJECTED
UNFINISHED: Final[Expected] = frozenset({RejectReason.TRUNCATED, RejectReason.EMPTY})


def only(*reasons: RejectReason) -> Expected:
    """Rejected for one of these reasons."""
    return frozenset(reasons)


def flipped(content: bytes, at: int, chance: random.Random) -> bytes:
    """The file with one byte changed."""
    return content[:at] + bytes([content[at] ^ chance.randrange(1, 256)]) + content[at + 1 :]
