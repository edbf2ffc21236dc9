from __future__ import annotations

from html.parser import HTMLParser

import pytest

from converters.report.drawings import bar, histogram, outside, recall_bars
from edge.shares.share import Share
from tests.support.report.sample_evidence import HOSTILE, tensor


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
