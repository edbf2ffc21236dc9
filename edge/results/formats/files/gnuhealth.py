"""GNU Health lab: one slide as a CSV file for Tryton's own import into `gnuhealth.lab`."""

from __future__ import annotations

import csv
import io
from datetime import UTC
from typing import Final

from edge.results.document.result import SlideResult, State
from edge.results.formats.codes import (
    CELLS_COUNTED,
    ERYTHROBLASTS_PER_100_WBC,
    PLATELET_PRESENCE,
    Analyte,
    number_of,
    percent_of,
)
from edge.results.formats.format import Context, Format
from edge.results.formats.misfits import empty_misfit, id_misfit
from edge.results.formats.observed import observed
from edge.text.printable import printable

# The names of Tryton's fields; its import dialog finds the columns by them.
COLUMNS: Final = (
    "source_type",
    "other_source",
    "test",
    "date_analysis",
    "results",
    "critearea/name",
    "critearea/code",
    "critearea/result",
    "critearea/result_text",
    "critearea/units",
)
# The code of the test type. Its name is translated, so an import by name fails in other languages.
_TEST: Final = "CBC"
_PERCENT: Final = "%"
# Equal to 10^9 per litre.
_NUMBER: Final = "10^3/uL"
# Criterion and unit. Those of percents and numbers are the test type's own, as gnuhealth-lab 5.0.4
# ships it, but for immature granulocytes. Tryton refuses a unit that it does not know, and it knows
# none for the last three.
_CRITERIA: Final[dict[Analyte, tuple[str, str]]] = {
    percent_of("neutrophil"): ("NEU%", _PERCENT),
    percent_of("eosinophil"): ("EO%", _PERCENT),
    percent_of("basophil"): ("BAS%", _PERCENT),
    percent_of("lymphocyte"): ("LYM%", _PERCENT),
    percent_of("monocyte"): ("MON%", _PERCENT),
    percent_of("ig"): ("IG%", _PERCENT),
    number_of("neutrophil"): ("NEU", _NUMBER),
    number_of("eosinophil"): ("EO", _NUMBER),
    number_of("basophil"): ("BAS", _NUMBER),
    number_of("lymphocyte"): ("LYM", _NUMBER),
    number_of("monocyte"): ("MON", _NUMBER),
    number_of("ig"): ("IG", _NUMBER),
    ERYTHROBLASTS_PER_100_WBC: ("NRBC/100 WBC", ""),
    PLATELET_PRESENCE: ("PLT seen", ""),
    CELLS_COUNTED: ("Leukocytes counted", ""),
}


def _misfit(result: SlideResult, context: Context) -> str | None:
    if not any(one.code.analyte in _CRITERIA for one in observed(result, context.codes)):
        return "the code map reports nothing that GNU Health has a criterion for"
    return id_misfit(result.sample_id) or empty_misfit(result)


def _write(result: SlideResult, context: Context) -> bytes:
    # The sample is the source, and no patient is named: the import would look an id up among names,
    # telephone numbers and insurance numbers too, and file the result under whoever has it.
    head: tuple[str, ...] = (
        *("other_source", result.sample_id, _TEST),
        # Tryton takes no offset; its server counts in UTC.
        f"{result.completed.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        _remark(result),
    )
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in observed(result, context.codes):
        if one.code.analyte not in _CRITERIA:
            continue
        name, unit = _CRITERIA[one.code.analyte]
        values = ("", one.text) if isinstance(one.value, str) else (one.text, "")
        writer.writerow((*head, name, name, *values, unit))
        # Rows without these fields go on with the same result; with them, they begin a new one.
        head = ("",) * len(head)
    return text.getvalue().encode()


def _remark(result: SlideResult) -> str:
    """What the import has no field for: it makes a draft, whatever the state."""
    slide = f"Slide {result.slide_id}. " if result.slide_id else ""
    remark = f"{slide}{_state(result)} Result {result.result_id}, revision {result.revision}."
    return printable(remark)


def _state(result: SlideResult) -> str:
    if result.state is State.PRELIMINARY or result.verification is None:
        return "Preliminary: no person has verified it."
    verified = f"Verified by {result.verification.by.name} ({result.verification.by.id})."
    if result.state is State.FINAL:
        return verified
    return f"{verified} Corrects result {result.replaces}: {result.reason}."


GNU_HEALTH: Final = Format("gnuhealth", ".csv", _misfit, _write)
