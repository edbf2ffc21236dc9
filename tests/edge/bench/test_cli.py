from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.bench.cli import main
from tests.support.images import Jpeg
from tests.support.laboratory import fitted
from tests.support.small_bundle import write_small_bundle

STAGES = [
    "decode",
    "preprocess",
    "sidecar",
    "infer fp32",
    "infer int8",
    "end to end fp32",
    "end to end int8",
]


def test_bench_prints_a_row_per_stage_and_writes_json(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    code = main(
        [str(small_bundle), "--rounds", "2", "--output", str(tmp_path), "--json", str(report)]
    )
    assert code == 0
    said = capsys.readouterr().out
    for stage in STAGES:
        assert f"\n{stage} " in f"\n{said}"
    assert "times as fast as FP32" in said
    found = json.loads(report.read_text())
    assert list(found["stages"]) == STAGES
    assert found["stages"]["decode"]["count"] == 10
    assert found["environment"]["cores"] >= 1


def test_bench_of_a_bundle_with_a_reference_times_the_check(
    tmp_path: Path, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = fitted().reference.to_bytes()
    bundle = write_small_bundle(tmp_path / "small.edge", colour_jpeg, reference=reference)
    assert main([str(bundle), "--rounds", "1", "--output", str(tmp_path)]) == 0
    assert "\nfamiliarity " in capsys.readouterr().out


def test_bench_leaves_nothing_behind(small_bundle: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert main([str(small_bundle), "--rounds", "1", "--output", str(tmp_path)]) == 0
    assert sorted(tmp_path.iterdir()) == before


@pytest.fixture
def own_images(tmp_path: Path, colour_jpeg: Jpeg) -> Path:
    images = tmp_path / "own"
    images.mkdir()
    (images / "a.jpg").write_bytes(colour_jpeg())
    return images


def test_bench_on_own_images_uses_them(
    small_bundle: Path, own_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(small_bundle), "--rounds", "1", "--images", str(own_images)]
    assert main([*arguments, "--output", str(tmp_path)]) == 0
    assert "1 images" in capsys.readouterr().err
    assert [p.name for p in own_images.iterdir()] == ["a.jpg"]


def test_bench_on_an_image_that_cannot_be_read_names_it(
    small_bundle: Path, own_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_images / "cut.jpg").write_bytes((own_images / "a.jpg").read_bytes()[:-40])
    arguments = [str(small_bundle), "--rounds", "1", "--images", str(own_images)]
    assert main([*arguments, "--output", str(tmp_path)]) == 2
    assert f"error: {own_images}/cut.jpg cannot be used: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["absent.edge"], 3),
        (["{bundle}", "--images", "absent"], 2),
        (["{bundle}", "--rounds", "0"], 2),
        (["{bundle}", "--threads", "0"], 2),
        (["{bundle}", "--json", "/nonexistent/x.json"], 2),
    ],
)
def test_bench_with_wrong_arguments_says_so_in_one_line(
    small_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
) -> None:
    given = [argument.format(bundle=small_bundle) for argument in arguments]
    assert main([*given, "--output", str(tmp_path)]) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
