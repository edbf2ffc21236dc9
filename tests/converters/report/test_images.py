from __future__ import annotations

from typing import Any

import pytest

from converters.report.images import MAX_THUMBNAIL_BYTES, SHOWN_IMAGES, share_out
from converters.report.page import render_report
from tests.support.report.parsed_page import Page, page
from tests.support.report.sample_evidence import FACTS


def test_report_shows_at_most_forty_images_and_counts_the_rest(
    evidence: dict[str, Any],
) -> None:
    jpeg = b"\xff\xd8" + bytes(MAX_THUMBNAIL_BYTES - 2)
    content = render_report(evidence, FACTS, lambda _: jpeg)
    assert len(content) < 2_000_000
    shown = Page(content)
    assert len(shown.all("img")) == SHOWN_IMAGES
    assert "27 more images are listed in evidence.json only" in shown.text


def test_report_with_too_large_thumbnail_leaves_it_out(evidence: dict[str, Any]) -> None:
    shown = page(evidence, lambda _: bytes(MAX_THUMBNAIL_BYTES + 1))
    assert shown.all("img") == []
    assert "no picture" in shown.text


@pytest.mark.parametrize(
    ("counts", "shown"),
    [([8, 60], [8, 32]), ([60, 60], [20, 20]), ([0, 0, 3], [0, 0, 3]), ([60, 2, 1], [37, 2, 1])],
)
def test_share_out_fills_the_limit_and_leaves_nobody_out(
    counts: list[int], shown: list[int]
) -> None:
    assert share_out(counts, 40) == shown
