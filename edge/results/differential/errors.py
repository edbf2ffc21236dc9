"""The model's errors, as its validation counted them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

# Counts with a row per true class and a column per label, both in the order of `CELL_CLASSES`; the
# last column is of unidentified cells.
Table = tuple[tuple[int, ...], ...]

NO_BUNDLE: Final = "none: no bundle was given, whose validation would tell the model's errors"


@dataclass(frozen=True, slots=True)
class ModelErrors:
    """What is known of the errors behind a slide's labels.

    Attributes:
        tables: by graph.
        graph_of: by `ResultCell.image`, the key in `tables`; cells without a table are missing.
        source: what the tables stand on, in one line.
        missing: why cells have no table, in one line.
    """

    tables: Mapping[str, Table] = field(default_factory=lambda: MappingProxyType({}))
    graph_of: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    source: str = ""
    missing: str = NO_BUNDLE


UNKNOWN_ERRORS: Final = ModelErrors()
