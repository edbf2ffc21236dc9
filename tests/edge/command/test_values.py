"""Tests for the values of options, by the commands that take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from converters.cli import main as convert
from daemon.cli import main as daemon
from edge.bench.cli import main as bench
from edge.demo.cli import main as demo
from edge.results.cli import main as results

Main = Callable[[Sequence[str] | None], int | None]
HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("main", "words", "text"),
    [
        (results, ["show", ""], "the path is empty"),
        (results, ["show", ".", "--images", ""], "argument --images: the path is empty"),
        (results, ["send", "--once", "--config", ""], "argument --config: the path is empty"),
        (results, ["cells", ".", "--limit", "9" * 23], "is no whole number from 1 to"),
        (results, ["cells", ".", "--limit", HUGE], "is no whole number from 1 to"),
        (results, ["cells", ".", "--limit", "0"], "is no whole number from 1 to"),
        (results, ["tail", ".", "-n", HUGE], "is no whole number from 0 to"),
        (results, ["send", "--give-up", "1", "--config", "x", "--reason", "a\nb"], "line break"),
        (results, ["show", ".", "--quiet", "1e300"], "is no number of seconds from 0 to 604800"),
        (daemon, ["run", "--config", ""], "argument --config: the path is empty"),
        (convert, ["x.pt", "--max-batch", HUGE], "is no whole number from 1 to 4096"),
        (convert, ["x.pt", "--calibration-images", HUGE], "is no whole number from 1 to"),
        (bench, ["x.edge", "--batches", "8,99999999"], "give whole numbers from 1 to 4096"),
        (demo, ["--model", "x.pt", "--count", HUGE], "is no whole number from 1 to"),
    ],
)
def test_value_that_an_option_cannot_have_is_wrong_usage(
    main: Main, words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    said = capsys.readouterr().err
    assert text in said
    assert len(said.splitlines()[-1]) < 400


def test_largest_number_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert results(["cells", "NOPE", "--limit", "1000000000"]) == 2
    assert "NOPE does not exist" in capsys.readouterr().err
