"""Codes of what is reported: LOINC and units (UCUM), by analyte and state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge.results.document.result import LEUKOCYTES, State

# What a code is for: one of `ANALYTES`.
Analyte = str

PANEL: Final = "panel"
ERYTHROBLASTS_PER_100_WBC: Final = "erythroblast /100 WBC"
PLATELET_PRESENCE: Final = "platelet presence"
CELLS_COUNTED: Final = "cells counted"


def percent_of(leukocyte: str) -> Analyte:
    """The share of a class in percent of all leukocytes."""
    return f"{leukocyte} %"


def number_of(leukocyte: str) -> Analyte:
    """The number of a class per litre of blood."""
    return f"{leukocyte} #"


# In the order in which a report gives them. There is no number of erythroblasts per litre: the
# leukocyte count of a cell counter may include them, and then the number would be wrong.
ANALYTES: Final = (
    PANEL,
    *map(percent_of, LEUKOCYTES),
    ERYTHROBLASTS_PER_100_WBC,
    PLATELET_PRESENCE,
    CELLS_COUNTED,
    *map(number_of, LEUKOCYTES),
)


@dataclass(frozen=True, slots=True)
class Code:
    """One observation's code.

    Attributes:
        local: the short code of the laboratory or importer, such as `NEUT`.
        unit: UCUM; empty for a panel and for what has no unit.
    """

    analyte: Analyte
    local: str
    loinc: str
    display: str
    unit: str


@dataclass(frozen=True, slots=True)
class CodeMap:
    """Codes for results that a person verified, and for those that none did.

    Unverified results must not carry the codes of manual counts.
    """

    method_less: Mapping[Analyte, Code]
    manual: Mapping[Analyte, Code]

    def code(self, analyte: Analyte, state: State) -> Code | None:
        """The code for a result in this state; None if the site does not report the analyte."""
        is_verified = state is not State.PRELIMINARY
        return (self.manual if is_verified else self.method_less).get(analyte)
