"""CSV for SENAITE's `2-Dimensional-CSV`: a column for each keyword, one result in a file.

The importer splits at commas alone, drops the last value of a row, and stores an empty cell. So
each row ends in a comma, nothing is quoted, and what has no value has no column. It reads numbers
alone, and has no place for a unit, state, time, flag or interval.
"""

from __future__ import annotations

from typing import Final

from edge.results.document.result import SlideResult, State
from edge.results.formats.format import Context, Format
from edge.results.formats.misfits import empty_misfit, id_misfit
from edge.results.formats.observed import observed

_END: Final = "end"


def _misfit(result: SlideResult, _context: Context) -> str | None:
    sample_id = result.sample_id
    if result.state is State.PRELIMINARY:
        return (
            "nobody verified the result, and SENAITE keeps the first value that it gets: "
            "verify it first"
        )
    if not sample_id.isascii():
        return "the sample's id has a letter beyond ASCII, which SENAITE does not find"
    if sample_id.lower() == _END:
        return f"the sample's id is the word {_END}, which ends the table"
    return id_misfit(sample_id, refused=',"') or empty_misfit(result)


def _write(result: SlideResult, context: Context) -> bytes:
    numbers = [one for one in observed(result, context.codes) if not isinstance(one.value, str)]
    rows = [
        ["", *(one.code.local for one in numbers), _END],
        [result.sample_id, *(one.text for one in numbers), ""],
        [_END, *("" for _ in numbers), ""],
    ]
    return "".join(",".join(row) + "\n" for row in rows).encode("ascii")


SENAITE: Final = Format("senaite", ".csv", _misfit, _write)
