"""Many simulated slides as files, each read back by its importer or a model of it.

    python -m tests.campaigns.result_files [--slides 1000] [--seed 1]

Exits with 1 unless every value, id and time arrives, and every correction replaces its
predecessor. Judges: Commons CSV with the settings of OpenELIS' bridge (Debian:
openjdk-17-jdk-headless, libcommons-csv-java), models of OpenELIS' staging and of SENAITE's two
generations of readers, and the readers of CSV and JSON.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from edge.results.document.from_json import from_json
from edge.results.document.result import SlideResult, State
from edge.results.formats.code_map import load_code_map
from edge.results.formats.files.openelis_profile import openelis_profile
from edge.results.formats.format import Context, Format, Site
from edge.results.formats.observed import observed
from edge.results.formats.shipped.table import FORMATS
from tests.support.importers.openelis import Row, Staging, running_bridge
from tests.support.importers.senaite import READERS, Parsed
from tests.support.slides import simulated_results

CONTEXT: Final = Context(load_code_map(), Site())
Results = Sequence[SlideResult]


def carried(format_: Format, results: Results) -> list[SlideResult]:
    """The results that the format takes: SENAITE's takes no preliminary ones."""
    return [result for result in results if format_.misfit(result, CONTEXT) is None]


def wrong_in_openelis(results: Results) -> int:
    """Files of which a value, id, unit or time did not arrive, and lost corrections.

    Staged are final and corrected results, as by default: a value that returns to an earlier one,
    as over preliminary, final and corrected, is lost while the first is staged (docs/lis.md).
    """
    staging, wrong = Staging(), 0
    with tempfile.TemporaryDirectory() as scratch:
        for number, result in enumerate(results):
            path = Path(scratch, f"{number:06}.csv")
            path.write_bytes(FORMATS["openelis"].write(result, CONTEXT))
        with running_bridge(json.loads(openelis_profile(CONTEXT.codes))) as bridge:
            files = bridge.read(Path(scratch))
    for result, file in zip(results, files, strict=True):
        wrong += [_told(row) for row in file.rows] != _tuples(result)
        for row in file.rows if result.state is not State.PRELIMINARY else ():
            staging.insert(row)
    return wrong + sum(
        staging.current(result.sample_id, one.code.loinc).value != one.text
        for result in results
        if result.state is State.CORRECTED
        for one in observed(result, CONTEXT.codes)
    )


_Told = tuple[str, str, str, str | None, datetime | None]


def _told(row: Row) -> _Told:
    moment = datetime.fromisoformat(row.time) if row.time else None
    return row.sample, row.test, row.value, row.unit, moment


def _tuples(result: SlideResult) -> list[_Told]:
    return [
        (result.sample_id, one.code.loinc, one.text, one.code.unit or None, result.completed)
        for one in observed(result, CONTEXT.codes)
    ]


def wrong_in_senaite(results: Results) -> int:
    """Files that one of the readers reads otherwise."""
    return sum(
        _senaite_values(reader, result) != _numbers(result)
        for result in results
        for reader in READERS.values()
    )


def _senaite_values(reader: Callable[[bytes], Parsed], result: SlideResult) -> object:
    parsed = reader(FORMATS["senaite"].write(result, CONTEXT))
    found = {
        (sample, keyword): float(value or 0)
        for sample, values in parsed.results.items()
        for keyword, value in values
    }
    return parsed.errors or found


def _numbers(result: SlideResult) -> dict[tuple[str, str], float]:
    return {
        (result.sample_id, one.code.local): float(one.value)
        for one in observed(result, CONTEXT.codes)
        if not isinstance(one.value, str)
    }


def wrong_in_csv(results: Results) -> int:
    """Files whose percentages, ids or time differ."""
    return sum(_csv_values(result) != _own_values(result) for result in results)


def _csv_values(result: SlideResult) -> list[object]:
    content = FORMATS["generic"].write(result, CONTEXT).decode()
    (row,) = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    names = [one.name for one in result.differential.classes]
    return [
        row["sample_id"],
        row["slide_id"] or None,
        datetime.fromisoformat(row["completed"]),
        *(int(row[f"{name}_percent"]) for name in names),
        *(float(row[f"{name}_share"]) for name in names),
    ]


def _own_values(result: SlideResult) -> list[object]:
    classes = result.differential.classes
    return [
        result.sample_id,
        result.slide_id,
        result.completed,
        *(one.percent for one in classes),
        *(one.share for one in classes),
    ]


def wrong_in_json(results: Results) -> int:
    """Documents that read back otherwise."""
    return sum(from_json(FORMATS["json"].write(r, CONTEXT)) != r for r in results)


JUDGES: Final[Mapping[str, Callable[[Results], int]]] = {
    "openelis": wrong_in_openelis,
    "senaite": wrong_in_senaite,
    "generic": wrong_in_csv,
    "json": wrong_in_json,
}


def milliseconds_per_result(format_: Format, results: Results) -> float:
    """Time of one core for the check whether a result fits, and for writing it."""
    started_s = time.process_time()
    for result in carried(format_, results):
        format_.write(result, CONTEXT)
    return 1000 * (time.process_time() - started_s) / len(results)


def main() -> int:
    """Write, read back, and say what was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    results = list(simulated_results(arguments.slides, arguments.seed))
    corrected = sum(result.state is State.CORRECTED for result in results)
    lines = [f"{arguments.slides} slides, {len(results)} results, {corrected} corrections"]
    wrong = 0
    for name, judge in JUDGES.items():
        taken = carried(FORMATS[name], results)
        found = judge(taken)
        wrong += found
        lines.append(f"{name}: {len(taken)} files, {found} wrong")
    times = {name: milliseconds_per_result(one, results) for name, one in FORMATS.items()}
    lines += [f"{name}: {took_ms:.2f} ms a result" for name, took_ms in times.items()]
    lines.append(f"all: {1000 / sum(times.values()):.0f} results a second on one core")
    print("\n".join(lines))  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
