"""The limits beyond which a differential gets a flag."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite

from edge.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Limits:
    """When a person is told that a result stands on weak ground. Shares are 0 to 1.

    Attributes:
        fewest_leukocytes: a differential of fewer is flagged.
        most_unidentified: share of unidentified cells, of all cells that were labelled.
        unsure_below: a confidence below it is a low one.
        most_unsure: share of low confidences, of the model's labels that nobody has seen.
        most_unfamiliar: share of cells that do not look like the laboratory's own, of those with
            such a score that nobody has seen.
    """

    fewest_leukocytes: int = 100
    most_unidentified: float = 0.10
    unsure_below: float = 0.80
    most_unsure: float = 0.15
    most_unfamiliar: float = 0.10

    def __post_init__(self) -> None:
        if self.fewest_leukocytes < 0:
            raise ConfigError(
                f"fewest_leukocytes is {self.fewest_leukocytes}, a number of cells is 0 or more."
            )
        for name in (field.name for field in fields(self)[1:]):
            value = getattr(self, name)
            if not (isfinite(value) and 0 <= value <= 1):
                raise ConfigError(f"{name} is {value}, a share is from 0 to 1.")
