from __future__ import annotations

from dataclasses import replace
from random import Random

from edge.results.commands.slides.slide_text import slide_text
from edge.results.document.result import SlideResult
from tests.support.slides import simulated_slide


def a_result() -> SlideResult:
    return simulated_slide(1, Random(1))[0]  # noqa: S311


def test_text_has_each_class_with_both_intervals_in_80_columns() -> None:
    result = a_result()
    lines = slide_text(result, "preliminary").splitlines()
    assert max(map(len, lines)) <= 80
    for one in result.differential.classes:
        (line,) = (text for text in lines if text.startswith(one.name))
        assert one.sampling
        assert one.with_errors
        assert str(one.count) in line
        assert f"{one.sampling.low:.2f} to {one.sampling.high:.2f}" in line
        assert f"{one.with_errors.low:.2f} to {one.with_errors.high:.2f}" in line


def test_text_without_a_table_of_errors_leaves_that_interval_out() -> None:
    result = replace(a_result(), differential=replace(a_result().differential, wbc=None))
    bare = tuple(
        replace(one, with_errors=None, absolute=None) for one in result.differential.classes
    )
    text = slide_text(
        replace(result, differential=replace(result.differential, classes=bare)), "preliminary"
    )
    names = {one.name for one in bare}
    of_classes = [line.split() for line in text.splitlines() if line.split()[:1]]
    rows = [words for words in of_classes if words[0] in names]
    assert len(rows) == len(bare)
    assert all(words[-2:] == ["-", "-"] for words in rows)
