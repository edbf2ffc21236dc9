"""CSV for the analyzer bridge of OpenELIS Global 2: a row for each code, one result in a file.

The bridge finds the test by its LOINC code, so that is the test code, and the code says whether a
person verified: there is no column for the state. OpenELIS takes a correction only if its time
differs from that of the result before; each revision has a later one.
"""

from __future__ import annotations

from typing import Final

from edge.results.document.result import SlideResult
from edge.results.formats.format import Context, Format
from edge.results.formats.misfits import empty_misfit, id_misfit
from edge.results.formats.observed import observed
from edge.text.rfc3339 import rfc3339

# Column, and what the bridge takes it for.
COLUMN_MAPPING: Final = {
    "Sample ID": "sampleId",
    "Test Code": "testCode",
    "Result": "result",
    "Units": "units",
    "Result Time": "testDate",
}
# Of `analyzer_results.accession_number`; 20 before June 2026.
_LONGEST_ID: Final = 25


def _misfit(result: SlideResult, _context: Context) -> str | None:
    return id_misfit(result.sample_id, refused=',"', longest=_LONGEST_ID) or empty_misfit(result)


def _write(result: SlideResult, context: Context) -> bytes:
    completed = rfc3339(result.completed)
    rows = [
        (result.sample_id, one.code.loinc, one.text, one.code.unit, completed)
        for one in observed(result, context.codes)
    ]
    lines = [",".join(cells) for cells in (tuple(COLUMN_MAPPING), *rows)]
    return ("\n".join(lines) + "\n").encode()


OPENELIS: Final = Format("openelis", ".csv", _misfit, _write)
