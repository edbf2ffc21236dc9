"""A class that the model itself does not know is named, since no gate compares it with anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters.cli import main
from tests.support.images import Jpeg


def test_class_that_fp32_gets_wrong_is_warned_of_in_both_reports(
    model_folder: Path, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    blue = sorted((model_folder / "validation" / "blue").iterdir())
    colours = ["red"] * 5 + ["green"] * 5
    for seed, (path, colour) in enumerate(zip(blue, colours, strict=False), start=1000):
        path.write_bytes(colour_jpeg(colour, seed=seed))
    bundle = model_folder / "tiny.edge"
    assert main([str(model_folder / "tiny.pt"), "--int8", "--out", str(bundle)]) == 0
    warned = f"fewer than half of the images of blue (6 of {len(blue)}): do not rely on"
    assert warned in capsys.readouterr().out
    assert warned in (bundle / "evidence" / "report.html").read_text("utf-8")
