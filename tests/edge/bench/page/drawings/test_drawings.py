from __future__ import annotations

import re
from xml.etree.ElementTree import Element, tostring

import numpy as np
import pytest

from edge.bench.page.drawings.colours import Coloured, coloured
from edge.bench.page.drawings.curves import Curve, Point, curves
from edge.bench.page.drawings.distribution import distributions
from edge.bench.page.drawings.stages import beside, parts_ms, stage_bars, stages_over_time
from edge.bench.page.drawings.tail import tails
from edge.bench.page.drawings.timeline import timelines
from edge.bench.reading.document import parse_document
from edge.bench.statistics.percentiles import Estimate
from edge.bench.statistics.series import Series
from tests.support.bench_document import calm_series, document_of
from tests.support.series import series_of


def shown(*series: Series) -> list[Coloured]:
    parsed = parse_document(document_of(*series)).series
    return coloured(parsed, list(dict.fromkeys(one.series.subject for one in parsed)))


def paths(drawing: Element, class_: str) -> list[str]:
    return [
        one.get("d", one.get("points", ""))
        for one in drawing.iter()
        if class_ in one.get("class", "").split()
    ]


def text_of(drawing: Element) -> str:
    return " ".join(drawing.itertext())


def test_colours_of_a_subject_are_the_same_and_its_lines_differ_by_dashes() -> None:
    found = shown(calm_series(), calm_series(threads=2), calm_series(subject="fp32"))
    assert [one.colour for one in found] == ["c1 d0", "c1 d1", "c2 d0"]


def test_distribution_marks_the_percentiles_that_are_known() -> None:
    drawing = distributions(shown(calm_series(count=600), calm_series(count=20, subject="fp32")))
    markup = tostring(drawing, encoding="unicode")
    # 600 samples have p50, p90 and p99; 20 have p50 alone.
    assert markup.count('class="percentile p50"') == 2
    assert markup.count('class="percentile p90"') == 1
    assert markup.count('class="percentile p99"') == 1
    assert "p999" not in markup


def test_distribution_of_a_single_slow_call_shows_it() -> None:
    drawing = distributions(shown(series_of([2.0] * 999 + [900.0])))
    assert "logarithmic" in text_of(drawing)
    columns = paths(drawing, "part")[0].split("M")[1:]
    assert len(columns) == 2
    bottom, top = (float(re.split("[,VH]", columns[1])[part]) for part in (1, 2))
    assert bottom - top >= 1.0


def test_tail_goes_on_faintly_where_samples_are_too_few() -> None:
    drawing = tails(shown(calm_series(count=600)))
    faint, sure = (len(points.split()) for points in paths(drawing, "line"))
    assert 0 < sure < faint
    assert "99 %" in text_of(drawing)
    assert "99.99 %" not in text_of(drawing)


def test_timeline_draws_each_of_few_samples_and_columns_of_many() -> None:
    few = timelines(shown(calm_series(count=300)))
    assert paths(few, "dots")[0].count("M") == 300
    many = timelines(shown(calm_series(count=20_000)))
    assert 300 < paths(many, "dots")[0].count("M") <= 340
    assert len(paths(many, "range")) == 1


def test_images_of_a_burst_stand_at_their_answers_and_others_at_their_starts() -> None:
    starts_ns = np.repeat([0, 1_000_000_000], 4)
    durations = np.tile([10.0, 20.0, 30.0, 40.0], 2)
    burst = series_of(durations, mode="burst", turn=4, starts_ns=starts_ns)
    offline = series_of(durations, mode="offline", turn=4, starts_ns=starts_ns)
    in_burst, in_offline = shown(burst, offline)
    assert in_burst.moments_s.tolist() == pytest.approx(
        [0.01, 0.02, 0.03, 0.04, 1.01, 1.02, 1.03, 1.04]
    )
    assert in_offline.moments_s.tolist() == [0.0] * 4 + [1.0] * 4


def test_stages_and_the_rest_are_the_whole_duration() -> None:
    series = series_of([4.0] * 10, stages_ns={"decode": np.full(10, 1_000_000)})
    (one,) = shown(series)
    assert {name: values.tolist() for name, values in parts_ms(one).items()} == {
        "decode": [1.0] * 10,
        "the rest": [3.0] * 10,
    }
    bars = text_of(stage_bars([one]))
    assert "decode 1.00 ms, the rest 3.00 ms" in bars
    assert "int8: 4.00 ms" in bars
    assert len(paths(stages_over_time([one]), "part")) == 2


def test_stage_beside_the_call_is_no_part_of_it() -> None:
    stages = {"infer": np.full(10, 4_000_000), "sidecar": np.full(10, 3_000_000)}
    (one,) = shown(series_of([4.0] * 10, stages_ns=stages))
    assert beside(one) == ["sidecar"]
    assert list(parts_ms(one)) == ["infer", "the rest", "sidecar"]
    assert parts_ms(one)["the rest"].tolist() == [0.0] * 10
    assert "int8: 4.00 ms, and beside it sidecar 3.00 ms" in text_of(stage_bars([one]))


def test_curve_of_an_unstable_point_is_hollow_there() -> None:
    points = (
        Point(1, Estimate(100, 90, 110), is_stable=True),
        Point(8, Estimate(300, 200, 400), is_stable=False),
    )
    drawing = curves([Curve("int8", "c1 d0", points)], "images in a call", "images per second")
    hollow = [one for one in drawing.iter("circle") if "hollow" in one.get("class", "")]
    assert len(hollow) == 1
    assert "int8: 100 at 1, 300 at 8" in text_of(drawing)
