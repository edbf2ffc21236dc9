"""What OpenELIS' bridge, with its library and settings, makes of our files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from edge.results.document.result import SlideResult, State
from edge.results.formats.code_map import load_code_map
from edge.results.formats.files.openelis import OPENELIS
from edge.results.formats.files.openelis_profile import openelis_profile
from edge.results.formats.format import Context, Site
from edge.results.formats.observed import observed
from tests.support.importers.openelis import Bridge, Row, Staging, running_bridge
from tests.support.importers.openelis_faults import Fault, openelis_faults
from tests.support.slides import differential_of, simulated_results

CONTEXT = Context(load_code_map(), Site())
PROFILE = json.loads(openelis_profile(CONTEXT.codes))
RESULTS = tuple(simulated_results(40, seed=11))
GOOD = next(r for r in RESULTS if r.state is State.FINAL and r.differential.wbc)
NAME = "0001.csv"
FAULTS = openelis_faults(GOOD)


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    with running_bridge(PROFILE) as running:
        yield running


def expected(result: SlideResult) -> tuple[Row, ...]:
    return tuple(
        Row(
            sample=result.sample_id,
            test=one.code.loinc,
            value=one.text,
            is_number=not isinstance(one.value, str),
            unit=one.code.unit or None,
            time=None,
        )
        for one in observed(result, CONTEXT.codes)
    )


def without_time(rows: Sequence[Row]) -> tuple[Row, ...]:
    return tuple(replace(row, time=None) for row in rows)


def test_results_arrive_with_every_value_id_and_time(bridge: Bridge, tmp_path: Path) -> None:
    for number, result in enumerate(RESULTS):
        assert OPENELIS.misfit(result, CONTEXT) is None
        (tmp_path / f"{number:04}.csv").write_bytes(OPENELIS.write(result, CONTEXT))
    files = bridge.read(tmp_path)
    assert [file.outcome for file in files] == ["taken"] * len(RESULTS)
    for result, file in zip(RESULTS, files, strict=True):
        assert without_time(file.rows) == expected(result)
        times = {datetime.fromisoformat(row.time) for row in file.rows if row.time}
        assert times == {result.completed}


def test_codes_say_whether_a_person_verified(bridge: Bridge, tmp_path: Path) -> None:
    for state in (State.PRELIMINARY, State.FINAL):
        result = next(r for r in RESULTS if r.state is state)
        (tmp_path / f"{state}.csv").write_bytes(OPENELIS.write(result, CONTEXT))
    final, preliminary = (file.rows[0].test for file in bridge.read(tmp_path))
    assert (preliminary, final) == ("26511-6", "23761-0")


def test_every_code_of_a_file_is_in_the_profile() -> None:
    mapped = {test["test_code"]: test for test in PROFILE["default_test_mappings"]}
    for result in RESULTS:
        for one in observed(result, CONTEXT.codes):
            test = mapped[one.code.loinc]
            assert test["loinc"] == one.code.loinc
            assert test.get("unit", "") == one.code.unit
            assert (test["result_type"] == "quantitative") == (not isinstance(one.value, str))


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_planted_fault_is_refused_or_changes_what_arrives(
    bridge: Bridge, tmp_path: Path, fault: Fault
) -> None:
    content = OPENELIS.write(GOOD, CONTEXT)
    assert fault(content) != content
    (tmp_path / NAME).write_bytes(content)
    (whole,) = bridge.read(tmp_path)
    (tmp_path / NAME).write_bytes(fault(content))
    (broken,) = bridge.read(tmp_path)
    assert whole.outcome == "taken"
    assert broken != whole


@pytest.mark.parametrize(
    ("names", "outcomes"),
    [
        ((".0001.csv.tmp",), ["hidden"]),
        (("0001.CSV",), ["other name"]),
        (("0001.ok",), ["other name"]),
        (("0001.csv", "0002.csv"), ["taken", "same bytes"]),
    ],
)
def test_name_decides_what_the_bridge_takes(
    bridge: Bridge, tmp_path: Path, names: Sequence[str], outcomes: list[str]
) -> None:
    for name in names:
        (tmp_path / name).write_bytes(OPENELIS.write(GOOD, CONTEXT))
    assert [file.outcome for file in bridge.read(tmp_path)] == outcomes


def test_revisions_differ_in_their_bytes(bridge: Bridge, tmp_path: Path) -> None:
    contents = [OPENELIS.write(result, CONTEXT) for result in RESULTS]
    assert len(set(contents)) == len(RESULTS)
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.csv").write_bytes(content)
    assert {file.outcome for file in bridge.read(tmp_path)} == {"taken"}


def staged(bridge: Bridge, folder: Path, results: Sequence[SlideResult]) -> Staging:
    for number, result in enumerate(results):
        (folder / f"{number:05}.csv").write_bytes(OPENELIS.write(result, CONTEXT))
    staging = Staging()
    for file in bridge.read(folder):
        for row in file.rows:
            staging.insert(row)
    return staging


def test_corrections_arrive_in_the_staging(bridge: Bridge, tmp_path: Path) -> None:
    results = [r for r in simulated_results(100, seed=5) if r.state is not State.PRELIMINARY]
    corrections = [r for r in results if r.state is State.CORRECTED]
    assert len(corrections) > 20
    staging = staged(bridge, tmp_path, results)
    for result in corrections:
        for row in expected(result):
            assert staging.current(row.sample, row.test).value == row.value


def test_correction_with_the_same_time_would_be_lost(bridge: Bridge, tmp_path: Path) -> None:
    corrected = next(r for r in RESULTS if r.state is State.CORRECTED)
    final = next(r for r in RESULTS if r.result_id == corrected.replaces)
    staging = staged(bridge, tmp_path, (final, replace(corrected, completed=final.completed)))
    lost = [row for row in expected(corrected) if staging.current(row.sample, row.test) != row]
    assert lost


def test_value_that_returns_to_a_staged_one_would_be_lost() -> None:
    staging = Staging()
    for minute, value in enumerate(("58", "60", "58")):
        time = f"2026-11-23T09:{minute:02}:00+01:00"
        staging.insert(Row("S1", "23761-0", value, is_number=True, unit="%", time=time))
    assert staging.current("S1", "23761-0").value == "60"


@pytest.mark.parametrize(
    ("sample_id", "says"),
    [
        ("S1,2", "has the character ,"),
        ('S"1', 'has the character "'),
        ("=W0000", "begins with ="),
        ("+1", "begins with +"),
        ("-1", "begins with -"),
        ("@A", "begins with @"),
        ("S1\n2", "control character"),
        ("S1\0", "control character"),
        (" S1", "begins or ends with a space"),
        ("S1\N{NO-BREAK SPACE}", "begins or ends with a space"),
        ("", "is empty"),
        ("1" * 26, "has 26 characters, the importer keeps 25"),
    ],
)
def test_id_that_would_be_altered_is_held_without_naming_it(sample_id: str, says: str) -> None:
    misfit = OPENELIS.misfit(replace(GOOD, sample_id=sample_id), CONTEXT)
    assert misfit is not None
    assert says in misfit
    assert len(sample_id) < 2 or sample_id not in misfit
    assert "\n" not in misfit


@pytest.mark.parametrize("sample_id", ["00012345", "26-000123", "Ä 12/3", "標本7", "1" * 25, "end"])
def test_id_that_arrives_unaltered_is_not_held(
    bridge: Bridge, tmp_path: Path, sample_id: str
) -> None:
    result = replace(GOOD, sample_id=sample_id)
    assert OPENELIS.misfit(result, CONTEXT) is None
    (tmp_path / NAME).write_bytes(OPENELIS.write(result, CONTEXT))
    (file,) = bridge.read(tmp_path)
    assert without_time(file.rows) == expected(result)


def test_result_without_leukocytes_is_held() -> None:
    result = replace(GOOD, differential=differential_of((), rejected=0, wbc=None))
    assert OPENELIS.misfit(result, CONTEXT) == (
        "no leukocyte was identified, so there is no percentage to report"
    )
