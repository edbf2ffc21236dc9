from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.bench.compare.comparison import Comparison, Verdict, compare, compare_files
from edge.bench.compare.table import comparison_as_text
from edge.bench.reading.document import Document, parse_document
from edge.bench.statistics.percentiles import Estimate
from edge.bench.statistics.series import Series
from edge.errors import ConfigError
from tests.support.bench_document import calm_series, document_of
from tests.support.bench_pages import unstable_document
from tests.support.series import series_of


def measured(*series: Series, **fields: Any) -> Document:
    return parse_document(document_of(*series, **fields))


def compared(before: Series, after: Series, allow: float = 5.0) -> Comparison:
    return compare(measured(before), measured(after), allow)


@pytest.mark.parametrize(
    ("factor", "verdict", "code"),
    [(1.12, Verdict.SLOWER, 4), (1.0, Verdict.SAME, 0), (0.85, Verdict.FASTER, 0)],
)
def test_compare_of_a_changed_speed_gives_verdict_and_exit_code(
    factor: float, verdict: Verdict, code: int
) -> None:
    found = compared(calm_series(2.0, seed=1), calm_series(2.0 * factor, seed=2))
    assert found.series[0].verdict == verdict
    assert found.exit_code == code
    percent = found.series[0].changes[0].percent
    assert isinstance(percent, Estimate)
    assert percent.low <= 100 * (factor - 1) <= percent.high


def test_compare_with_more_allowed_takes_the_same_change_as_the_same() -> None:
    before, after = calm_series(2.0, seed=1), calm_series(2.24, seed=2)
    assert compared(before, after, 5).exit_code == 4
    assert compared(before, after, 20).exit_code == 0


def test_compare_of_a_longer_tail_alone_is_slower() -> None:
    before, after = calm_series(2.0, count=2000, seed=1), calm_series(2.0, count=2000, seed=2)
    durations = after.durations_ns.copy()
    # One call in 25 takes 40 ms longer: the median stays.
    durations[::25] += 40_000_000
    after = series_of(durations / 1e6)
    found = compared(before, after)
    assert [one.verdict for one in found.series[0].changes] == [Verdict.SAME, Verdict.SLOWER]
    assert found.series[0].verdict == Verdict.SLOWER
    assert found.series[0].why.startswith("p99 +")
    assert found.series[0].why.endswith("more than the 5 % allowed")
    text = comparison_as_text(found)
    assert [line.split()[-1] for line in text.splitlines()[1:3]] == ["same", "slower"]
    assert "slower: image/single_stream/int8: p99 +" in text


def test_compare_without_a_p99_stands_on_the_median() -> None:
    found = compared(calm_series(count=100, seed=1), calm_series(count=100, seed=2))
    assert found.series[0].verdict == Verdict.SAME
    assert "p99 needs 459 samples; there are 100" in comparison_as_text(found)


def test_compare_of_a_change_that_is_too_uncertain_is_not_comparable() -> None:
    random = np.random.default_rng(3)
    before = series_of(random.normal(2.0, 0.3, 40))
    after = series_of(random.normal(2.05, 0.3, 40))
    document = document_of(after)
    document["series"][0]["unstable_because"] = []
    other = document_of(before)
    other["series"][0]["unstable_because"] = []
    found = compare(parse_document(other), parse_document(document), 5.0)
    assert found.series[0].verdict == Verdict.NOT_COMPARABLE
    assert "too wide to say; measure for longer" in found.series[0].why
    assert found.exit_code == 2


def test_compare_of_an_unstable_series_is_not_comparable_and_says_why() -> None:
    calm = calm_series()
    drifting = series_of(np.repeat([2.0, 3.0], 300))
    found = compared(calm, drifting)
    assert found.exit_code == 2
    assert found.series[0].why == (
        "after it was unstable: drift: the second half was 50 % slower than the first"
    )
    assert compared(drifting, calm).series[0].why.startswith("before it was unstable: drift")


def test_compare_of_a_regression_beside_an_unstable_series_is_a_regression() -> None:
    drifting = series_of(np.repeat([2.0, 3.0], 300), subject="fp32")
    before = measured(calm_series(2.0, seed=1), drifting)
    after = measured(calm_series(2.5, seed=2), drifting)
    assert compare(before, after).exit_code == 4


def test_compare_in_offline_mode_compares_images_per_second() -> None:
    offline: dict[str, Any] = {"mode": "offline", "turn": 10}
    before = calm_series(2.0, seed=1, **offline)
    found = compared(before, calm_series(2.5, seed=2, **offline))
    assert found.series[0].verdict == Verdict.SLOWER
    assert found.series[0].why.startswith("images per second -2")
    assert compared(before, calm_series(1.6, seed=2, **offline)).series[0].verdict == Verdict.FASTER


def test_compare_with_a_series_that_is_gone_is_not_comparable() -> None:
    before = measured(calm_series(), calm_series(subject="fp32"))
    after = measured(calm_series(seed=2))
    found = compare(before, after)
    assert [one.verdict for one in found.series] == [Verdict.SAME, Verdict.NOT_COMPARABLE]
    assert "it was not measured any more" in found.series[1].why
    assert found.exit_code == 2


def test_compare_with_a_new_series_notes_it_and_does_not_fail() -> None:
    found = compare(
        measured(calm_series()), measured(calm_series(seed=2), calm_series(subject="fp32"))
    )
    assert found.exit_code == 0
    assert "image/single_stream/fp32 is in after only" in found.notes


def test_compare_of_documents_without_series_is_not_comparable() -> None:
    assert compare(measured(), measured()).exit_code == 2


def test_compare_of_other_images_is_refused() -> None:
    images = {"source": "own", "count": 791, "sha256": "2" * 64}
    with pytest.raises(ConfigError, match=r"of different images .64 drawn cells 11111111 and 791"):
        compare(measured(calm_series()), measured(calm_series(), images=images))


def test_compare_of_other_machines_is_refused_unless_asked_for() -> None:
    before, after = document_of(calm_series()), document_of(calm_series(seed=2))
    before["environment"].update(cpu="Intel Core i7", cores=8, gpu=None)
    after["environment"].update(cpu="AMD Ryzen 7", cores=8, gpu=None)
    old, new = parse_document(before), parse_document(after)
    with pytest.raises(ConfigError, match="cpu: Intel Core i7 before, AMD Ryzen 7 after"):
        compare(old, new)
    found = compare(old, new, across_machines=True)
    assert found.exit_code == 0
    assert "cpu: Intel Core i7 before, AMD Ryzen 7 after" in found.notes


def test_compare_of_another_bundle_and_library_notes_them() -> None:
    after = document_of(calm_series(seed=2))
    after["bundle"] = {"name": "cells8", "version": "2.2.0", "sha256": "c" * 64}
    after["environment"]["packages"]["onnxruntime"] = "9.0"
    after["environment"]["gpu"] = None
    before = document_of(calm_series())
    before["environment"]["gpu"] = None
    before["environment"]["packages"]["onnxruntime"] = "1.0"
    found = compare(parse_document(before), parse_document(after))
    assert found.exit_code == 0
    assert "bundle: cells8 2.1.0 before, cells8 2.2.0 after" in found.notes
    assert "onnxruntime: 1.0 before, 9.0 after" in found.notes


@pytest.mark.parametrize("allow", [0.0, -1.0, float("nan"), 5000.0])
def test_compare_with_an_allowance_out_of_range_is_refused(allow: float) -> None:
    with pytest.raises(ConfigError, match="--allow is"):
        compare(measured(calm_series()), measured(calm_series()), allow)


def test_compare_of_equal_speeds_calls_few_of_them_slower() -> None:
    # Whole runs of an equal machine, whose turns differ more than its samples.
    wrong = 0
    for seed in range(40):
        found = compared(
            calm_series(seed=2 * seed, count=300), calm_series(seed=2 * seed + 1, count=300), 1.0
        )
        wrong += found.exit_code == 4
    assert wrong == 0


def test_compare_interval_holds_the_true_change_as_often_as_promised() -> None:
    held = 0
    for seed in range(60):
        found = compared(
            calm_series(2.0, seed=1000 + seed, count=200),
            calm_series(2.2, seed=5000 + seed, count=200),
        )
        percent = found.series[0].changes[0].percent
        assert isinstance(percent, Estimate)
        held += percent.low <= 10.0 <= percent.high
    assert held >= 57 - 3 * 1.7


def test_compare_of_files_shows_a_table_of_printable_lines(tmp_path: Path) -> None:
    names = ("a.json", "b\x1b[2J.json")
    before = document_of(calm_series(2.0))
    after = document_of(
        calm_series(2.6, seed=2),
        bundle={"name": "cells\x1b[31m8", "version": "2", "sha256": "c" * 64},
    )
    for name, document in zip(names, (before, after), strict=True):
        (tmp_path / name).write_text(json.dumps(document))
    found = compare_files(tmp_path / names[0], tmp_path / names[1])
    text = comparison_as_text(found)
    assert all(line.isprintable() for line in text.splitlines())
    lines = text.splitlines()
    assert lines[0].split() == [
        "series", "figure", "before", "after", "change", "95", "%", "interval", "verdict",
    ]  # fmt: skip
    assert lines[1].startswith("image/single_stream/int8  p50")
    assert lines[1].endswith("slower")
    assert lines[-1].startswith(r"b\x1b[2J.json against a.json: 0 faster, 1 slower, 0 same")


def test_compare_names_what_disturbed_the_machine_once() -> None:
    found = compare(parse_document(unstable_document()), parse_document(unstable_document()))
    text = " ".join(comparison_as_text(found).split())
    assert text.count("other processes used 1.6 of 2 cores") == 2
    assert "note: during before " in text
    assert "note: during after " in text
    assert all(
        len(line) <= 80 for line in comparison_as_text(found).splitlines() if line[:4] == "not "
    )


def test_compare_of_twenty_thousand_samples_gives_a_verdict() -> None:
    before = calm_series(2.0, count=20_000, seed=1)
    found = compared(before, calm_series(2.0, count=20_000, seed=2))
    assert found.exit_code == 0


def test_compare_of_durations_of_zero_is_not_comparable() -> None:
    found = compared(series_of(np.zeros(600)), calm_series())
    assert found.series[0].verdict == Verdict.NOT_COMPARABLE
