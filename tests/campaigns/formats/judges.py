"""The judges of each format: they read contents back, or say why they refuse them."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from edge.results.document.from_json import from_json
from edge.results.document.result import LEUKOCYTES
from edge.results.formats.codes import (
    CELLS_COUNTED,
    ERYTHROBLASTS_PER_100_WBC,
    PLATELET_PRESENCE,
    Analyte,
    number_of,
    percent_of,
)
from edge.results.formats.files.openelis_profile import openelis_profile
from tests.campaigns.formats.fhir_judges import OF_BUNDLES, OF_OPENELIS_BUNDLES
from tests.campaigns.formats.reading import (
    CONTEXT,
    LOINC,
    Judge,
    Reading,
    by_local,
    each,
    expected,
    reading_of,
    units_by_loinc,
)
from tests.support.hl7.bridge import read_as_bridge
from tests.support.hl7.judges import (
    read_by_simple_hl7,
    refused_by_hl7apy,
    sample_of_python_hl7,
    values_of_python_hl7,
)
from tests.support.hl7.validator import faults
from tests.support.importers import senaite
from tests.support.importers.openelis import running_bridge

LOCAL: Final = by_local(CONTEXT.codes)
UNITS: Final = units_by_loinc(CONTEXT.codes)


def commons_csv(contents: Sequence[bytes]) -> list[Reading]:
    """The library of OpenELIS' bridge, with its settings, in Java."""
    profile = json.loads(openelis_profile(CONTEXT.codes))
    with tempfile.TemporaryDirectory() as made, running_bridge(profile) as bridge:
        for number, content in enumerate(contents):
            (Path(made) / f"{number:06}.csv").write_bytes(content)
        readings = []
        for file in bridge.read(Path(made)):
            rows = [(row.sample, row.test, row.value) for row in file.rows]
            refused = "" if file.outcome == "taken" else file.outcome
            if wrong_units := [one for one in file.rows if (one.unit or "") != UNITS[one.test]]:
                refused = f"units {wrong_units}"
            times = {datetime.fromisoformat(row.time) if row.time else None for row in file.rows}
            completed = times.pop() if len(times) == 1 else None
            readings.append(replace(reading_of(rows, LOINC, refused), completed=completed))
        return readings


def _senaite(reader: Callable[[bytes], senaite.Parsed]) -> Callable[[bytes], Reading]:
    def read(content: bytes) -> Reading:
        parsed = reader(content)
        rows = [
            (sample, keyword, value)
            for sample, values in parsed.results.items()
            for keyword, value in values
        ]
        return reading_of(rows, LOCAL, "; ".join(parsed.errors))

    return read


def generic_csv(content: bytes) -> Reading:
    """Python's csv, strict."""
    (row,) = csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True)
    columns: dict[str, Analyte] = {
        "leukocytes": CELLS_COUNTED,
        "erythroblast_per_100_wbc": ERYTHROBLASTS_PER_100_WBC,
        "platelets": PLATELET_PRESENCE,
    }
    for name in LEUKOCYTES:
        columns |= {f"{name}_percent": percent_of(name), f"{name}_absolute": number_of(name)}
    rows = [(row["sample_id"], name, row[name]) for name in columns if row[name]]
    completed = datetime.fromisoformat(row["completed"])
    return replace(reading_of(rows, columns), completed=completed)


def own_json(content: bytes) -> Reading:
    """Our own reader, which checks the whole document."""
    return expected(from_json(content))


def tryton(content: bytes) -> Reading:
    """Tryton's rules for values, modelled; GNU Health itself runs in the full tests."""
    names = ("NEU", "EO", "BAS", "LYM", "MON", "IG")
    units = {"%", "10^3/uL", ""}
    columns: dict[str, Analyte] = {
        "Leukocytes counted": CELLS_COUNTED,
        "NRBC/100 WBC": ERYTHROBLASTS_PER_100_WBC,
        "PLT seen": PLATELET_PRESENCE,
    }
    for code, name in zip(names, LEUKOCYTES, strict=True):
        columns |= {f"{code}%": percent_of(name), code: number_of(name)}
    lines = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    datetime.strptime(lines[0]["date_analysis"], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007
    sample = lines[0]["other_source"]
    rows = [
        (sample, row["critearea/code"], row["critearea/result"] or row["critearea/result_text"])
        for row in lines
    ]
    known = {row["critearea/units"] for row in lines} <= units
    return reading_of(rows, columns, "" if known else "unknown unit")


def python_hl7(content: bytes) -> Reading:
    """python-hl7 parses and unescapes."""
    sample = sample_of_python_hl7(content)
    rows = [(sample, code, v) for code, v in values_of_python_hl7(content).items() if code in LOINC]
    return reading_of(rows, LOINC)


def simple_hl7(contents: Sequence[bytes]) -> list[Reading]:
    """simple-hl7 of npm, one process for all. It unescapes nothing, and no value needs it."""
    return [
        reading_of([(one.sample, *row) for row in one.values.items() if row[0] in LOINC], LOINC)
        for one in read_by_simple_hl7(contents)
    ]


def hl7_bridge(content: bytes) -> Reading:
    """The rules by which OpenELIS' bridge reads messages, modelled."""
    found = read_as_bridge(content)
    rows = [(found.accession, row.code, row.value) for row in found.rows if row.code in LOINC]
    return reading_of(rows, LOINC)


def own_validator(content: bytes) -> Reading:
    """Our own rules for messages."""
    return Reading(refused="; ".join(faults(content)))


def hl7apy(content: bytes) -> Reading:
    """The structure alone."""
    return Reading(refused=refused_by_hl7apy(content) or "")


_HL7: Final = (
    Judge("python-hl7", each(python_hl7)),
    Judge("simple-hl7 of npm", simple_hl7),
    Judge("OpenELIS' bridge (model)", each(hl7_bridge)),
    Judge("own validator", each(own_validator), reads_values=False),
    Judge("hl7apy", each(hl7apy), is_slow=True, reads_values=False),
)
JUDGES: Final[dict[str, tuple[Judge, ...]]] = {
    "openelis": (Judge("commons-csv, bridge's settings", commons_csv, reads_time=True),),
    "senaite": tuple(
        Judge(f"SENAITE's rules of {year} (model)", each(_senaite(read)), reads_platelets=False)
        for year, read in senaite.READERS.items()
    ),
    "gnuhealth": (Judge("Tryton's rules (model)", each(tryton)),),
    "generic": (Judge("Python's csv", each(generic_csv), reads_time=True),),
    "json": (Judge("own reader", each(own_json), reads_time=True),),
    "hl7-oru": _HL7,
    "hl7-oul": _HL7,
    "fhir": OF_BUNDLES,
    "fhir-openelis": (OF_OPENELIS_BUNDLES, *OF_BUNDLES),
}
