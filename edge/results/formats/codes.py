"""Codes of what is reported: LOINC and units (UCUM), by analyte and state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge.results.document.result import State

# What a code is for: the share of a class in percent, its number per litre, and others.
#   "neutrophil %"  "neutrophil #"  (each of `LEUKOCYTES`)
#   "erythroblast /100 WBC"  "erythroblast #"  "platelet presence"  "cells counted"  "panel"
Analyte = str


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
