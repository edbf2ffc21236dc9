"""Why a format cannot carry a result: sentences without the patient's ids."""

from __future__ import annotations

from typing import Final

from edge.results.document.ids import unfit_id
from edge.results.document.result import SlideResult

# A spreadsheet that opens the file would run such a cell.
FORMULA_STARTS: Final = ("=", "+", "-", "@")


def id_misfit(
    text: str, *, of: str = "sample", refused: str = "", longest: int | None = None
) -> str | None:
    """Why an id must not go into a format; None if it may. It is never altered to fit.

    Args:
        of: whose id it is, for the sentence.
        refused: characters that the format cannot carry.
        longest: number of characters that the importer keeps.
    """
    if why := unfit_id(text):
        return f"the {of}'s id {why}"
    if text.startswith(FORMULA_STARTS):
        return f"the {of}'s id begins with {text[0]}, which a spreadsheet takes for a formula"
    if found := [character for character in refused if character in text]:
        return f"the {of}'s id has the character {found[0]}, which this format cannot carry"
    if longest is not None and len(text) > longest:
        return f"the {of}'s id has {len(text)} characters, the importer keeps {longest}"
    return None


def empty_misfit(result: SlideResult) -> str | None:
    """Why there is nothing to report: no percentage exists without leukocytes."""
    if result.differential.leukocytes:
        return None
    return "no leukocyte was identified, so there is no percentage to report"
