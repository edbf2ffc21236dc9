from __future__ import annotations

from html.parser import HTMLParser

import pytest

from converters.report.drawings.bars import bar, recall_bars
from converters.report.drawings.curves import reliability, selective
from converters.report.drawings.histogram import histogram, outside
from edge.shares.share import Share
from tests.support.report.sample_evidence import HOSTILE, confidence, tensor


class Drawing(HTMLParser):
    """The elements of a drawing and their attributes."""

    def __init__(self, written: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(written)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def kinds(self, tag: str) -> list[str | None]:
        return [attributes.get("class") for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize(("share", "width"), [(0.5, "50.0"), (-1.0, "0.0"), (7.0, "100.0")])
def test_bar_is_as_long_as_its_share_and_never_leaves_its_cell(share: float, width: str) -> None:
    (_, rect) = Drawing(bar(share, "int8", "0.5 nats")).elements
    assert (rect[1]["class"], rect[1]["width"]) == ("int8", width)


def test_label_of_a_drawing_is_no_markup() -> None:
    share = Share(1, 2).to_dict()
    for written in (bar(1.0, "int8", HOSTILE), recall_bars(share, share, HOSTILE)):
        svg, *drawn = Drawing(written).elements
        assert svg[1]["aria-label"] == HOSTILE
        assert {tag for tag, _ in drawn} <= {"rect", "line"}


def test_recall_bars_of_a_class_without_images_are_empty() -> None:
    none = Share(0, 0).to_dict()
    assert Drawing(recall_bars(none, none, "none")).kinds("rect") == []
    found = Drawing(recall_bars(Share(9, 10).to_dict(), none, "some"))
    assert found.kinds("rect") == ["fp32"]
    assert found.kinds("line").count("whisker") == 3


def test_histogram_shows_the_range_and_what_it_clips() -> None:
    kinds = Drawing(histogram(tensor("x"))).kinds("rect")
    assert (kinds.count("band"), kinds.count("inside"), kinds.count("clipped")) == (1, 6, 3)
    assert Drawing(histogram(tensor("x"))).kinds("line").count("limit") == 2


def test_histogram_of_no_values_is_drawn() -> None:
    empty = tensor("x")
    empty["histogram"]["counts"] = [0, 0]
    assert "<svg" in histogram(empty)


def test_outside_counts_clipped_values() -> None:
    assert outside(tensor("x")) == pytest.approx(5 / 3_128_965)


def test_reliability_has_a_point_with_its_interval_for_each_group() -> None:
    bins = confidence(0.4)["bins"]
    both = Drawing(reliability(bins["before"], bins["after"]))
    assert both.kinds("circle") == ["other"] * 10 + ["int8"] * 10
    alone = Drawing(reliability(bins["before"], None))
    assert alone.kinds("circle") == ["int8"] * 10
    assert alone.kinds("polyline") == ["diagonal"]


def test_reliability_of_a_right_confidence_lies_on_the_diagonal() -> None:
    share = {**Share(90, 100).to_dict(), "low": 0.8, "high": 1.0}
    drawing = Drawing(reliability([{"confidence": 0.9, "right": share}], None))
    (dot,) = [attributes for tag, attributes in drawing.elements if tag == "circle"]
    (line,) = [attributes for tag, attributes in drawing.elements if tag == "polyline"]
    (x1, y1), (x2, y2) = (map(float, p.split(",")) for p in str(line["points"]).split())
    middle = ((x1 + x2) / 2, (y1 + y2) / 2)
    assert (float(str(dot["cx"])), float(str(dot["cy"]))) == pytest.approx(middle)


def test_selective_curve_stays_in_its_plot_and_marks_the_limit() -> None:
    found = confidence(0.4)
    drawing = Drawing(selective(found["curve"], found["at_limit"]))
    (curve,) = [attributes for tag, attributes in drawing.elements if tag == "polyline"]
    (band,) = [attributes for tag, attributes in drawing.elements if tag == "polygon"]
    points = [p.split(",") for c in (curve, band) for p in str(c["points"]).split()]
    assert all(46 <= float(x) <= 362 and 12 <= float(y) <= 204 for x, y in points)
    assert drawing.kinds("line").count("limit") == 1


def test_selective_curve_of_a_limit_that_no_image_reaches_marks_nothing() -> None:
    found = confidence(0.4)
    nothing = {"limit": 1.0, "coverage": Share(0, 160).to_dict(), "right": Share(0, 0).to_dict()}
    drawing = Drawing(selective(found["curve"], nothing))
    assert drawing.kinds("circle") == []
