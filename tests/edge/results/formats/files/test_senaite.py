"""What SENAITE makes of our files, by models of its two generations of readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge.results.document.result import SlideResult, State
from edge.results.formats.code_map import load_code_map
from edge.results.formats.files.senaite import SENAITE
from edge.results.formats.format import Context, Site
from edge.results.formats.observed import observed
from tests.support.importers.senaite import READERS, Importer, Parsed, files_taken, read_2024
from tests.support.importers.senaite_faults import Fault, senaite_faults
from tests.support.slides import differential_of, simulated_results

CONTEXT = Context(load_code_map(), Site())
RESULTS = tuple(r for r in simulated_results(60, seed=12) if r.state is not State.PRELIMINARY)
GOOD = next(r for r in RESULTS if r.differential.wbc and r.differential.erythroblasts.count)
SAMPLE = GOOD.sample_id
FAULTS = senaite_faults(SAMPLE)


def numbers(result: SlideResult) -> dict[str, float]:
    return {
        one.code.local: float(one.value)
        for one in observed(result, CONTEXT.codes)
        if not isinstance(one.value, str)
    }


def as_numbers(parsed: Parsed) -> dict[str, dict[str, float]]:
    return {
        sample: {keyword: float(value or 0) for keyword, value in values}
        for sample, values in parsed.results.items()
    }


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_results_arrive_with_every_value_and_id(reader: Callable[[bytes], Parsed]) -> None:
    for result in RESULTS:
        assert SENAITE.misfit(result, CONTEXT) is None
        parsed = reader(SENAITE.write(result, CONTEXT))
        assert parsed.errors == []
        assert as_numbers(parsed) == {result.sample_id: numbers(result)}


def test_file_has_the_form_of_the_importer() -> None:
    result = replace(
        GOOD,
        differential=replace(
            GOOD.differential,
            wbc=None,
            classes=tuple(replace(one, absolute=None) for one in GOOD.differential.classes),
        ),
    )
    header, row, end = SENAITE.write(result, CONTEXT).decode().splitlines()
    assert header == ",NEUT,EOS,BASO,LYMPH,MONO,IG,NRBC,CELLS,end"
    assert row.startswith(f"{SAMPLE},")
    assert row.endswith(",")
    assert end == "end,,,,,,,,,"
    assert header.count(",") == row.count(",") == end.count(",")
    assert "" not in row.split(",")[:-1]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_planted_fault_is_reported_or_changes_what_arrives(fault: Fault) -> None:
    text = SENAITE.write(GOOD, CONTEXT).decode()
    broken = fault(text)
    assert broken != text
    noticed = {
        name: bool(parsed.errors) or str(parsed) != str(reader(text.encode()))
        for name, reader in READERS.items()
        if (parsed := reader(broken.encode()))
    }
    assert any(noticed.values()), noticed


def importer(*, overrides: bool) -> Importer:
    services = frozenset(code.local for code in CONTEXT.codes.manual.values())
    return Importer({r.sample_id: services for r in RESULTS}, overrides)


def test_correction_is_stored_only_where_the_import_may_override() -> None:
    corrected = next(r for r in RESULTS if r.state is State.CORRECTED)
    final = next(r for r in RESULTS if r.result_id == corrected.replaces)
    assert numbers(corrected) != numbers(final)
    for overrides, kept in ((False, final), (True, corrected)):
        target = importer(overrides=overrides)
        for result in (final, corrected):
            target.take(read_2024(SENAITE.write(result, CONTEXT)))
        assert {k: v for (_, k), v in target.stored.items()} == numbers(kept)


def test_preliminary_result_is_held_as_it_would_hide_the_verified_one() -> None:
    preliminary = next(r for r in simulated_results(1, seed=1) if r.state is State.PRELIMINARY)
    assert SENAITE.misfit(preliminary, CONTEXT) == (
        "nobody verified the result, and SENAITE keeps the first value that it gets: "
        "verify it first"
    )


def test_value_of_a_service_that_the_sample_lacks_is_not_stored() -> None:
    target = Importer({SAMPLE: frozenset({"NEUT"})})
    target.take(read_2024(SENAITE.write(GOOD, CONTEXT)))
    assert list(target.stored) == [(SAMPLE, "NEUT")]
    assert "no analysis IG" in target.warnings


def test_every_visible_file_of_the_folder_is_imported(tmp_path: Path) -> None:
    for name in ("1.csv", "1.csv.ok", ".2.csv.tmp", "imported.csv", "logs.log"):
        (tmp_path / name).touch()
    assert [path.name for path in files_taken(tmp_path)] == ["1.csv", "1.csv.ok"]


@pytest.mark.parametrize(
    ("sample_id", "says"),
    [
        ("S1,2", "has the character ,"),
        ('S"1', 'has the character "'),
        ("=W0000", "begins with ="),
        ("S1\t2", "control character"),
        ("S1 ", "begins or ends with a space"),
        ("end", "is the word end"),
        ("END", "is the word end"),
        ("Ä1", "beyond ASCII"),
        ("", "is empty"),
    ],
)
def test_id_that_would_be_altered_is_held_without_naming_it(sample_id: str, says: str) -> None:
    misfit = SENAITE.misfit(replace(GOOD, sample_id=sample_id), CONTEXT)
    assert misfit is not None
    assert says in misfit


@pytest.mark.parametrize("sample_id", ["00012345", "H2O-0001-R01", "AB 12/3", "S;1", "ends"])
def test_id_that_arrives_unaltered_is_not_held(sample_id: str) -> None:
    result = replace(GOOD, sample_id=sample_id)
    assert SENAITE.misfit(result, CONTEXT) is None
    for reader in READERS.values():
        assert list(reader(SENAITE.write(result, CONTEXT)).results) == [sample_id]


def test_result_without_leukocytes_is_held() -> None:
    result = replace(GOOD, differential=differential_of((), rejected=0, wbc=None))
    assert SENAITE.misfit(result, CONTEXT) == (
        "no leukocyte was identified, so there is no percentage to report"
    )
