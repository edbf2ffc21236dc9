from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.config.config import load_config
from edge.bench.levels.daemon import DaemonStart, running, write_config
from edge.bench.levels.file import read_sidecar, sidecar_stages
from edge.bench.levels.once import enough, export_copies
from edge.bundle import load_bundle
from edge.errors import EdgeError, StorageError
from edge.system.workers import default_workers


def test_workers_of_the_benchmark_are_those_that_the_daemon_has_by_default(
    small_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "export").mkdir()
    path = write_config(tmp_path, load_bundle(small_bundle), {})
    assert load_config(path).workers == default_workers()


def test_daemon_that_does_not_start_is_told_in_a_line(small_bundle: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, load_bundle(small_bundle), {"unknown_key": 1})
    start = DaemonStart(command=("false",))
    with (
        pytest.raises(EdgeError, match="edge-daemon did not start"),
        running(config, start),
    ):
        pass


def test_stages_of_a_sidecar_add_up_to_the_duration(tmp_path: Path) -> None:
    sidecar = tmp_path / "a.jpg.json"
    timing = {"decode": 1.0, "preprocess": 0.5, "infer": 2.0, "total": 3.5}
    sidecar.write_text(json.dumps({"status": "labelled", "timing_ms": timing}))
    assert sidecar_stages(sidecar, 5_000_000) == {
        "decode": 1_000_000,
        "preprocess": 500_000,
        "infer": 2_000_000,
        "service": 1_500_000,
    }


def test_image_that_the_daemon_rejected_ends_the_measurement(tmp_path: Path) -> None:
    sidecar = tmp_path / "a.jpg.json"
    sidecar.write_text(json.dumps({"status": "rejected", "reason": "truncated"}))
    with pytest.raises(EdgeError, match=r"an image was rejected \(truncated\)"):
        read_sidecar(sidecar)


def test_few_images_are_repeated_and_many_are_taken_once() -> None:
    few = [Path("a"), Path("b"), Path("c")]
    assert enough(few, 45) == few * 167
    many = [Path(f"{number}.jpg") for number in range(2000)]
    assert enough(many, None) == enough(many, 60) == many
    # Evenly: 40 for each second, but at least 500.
    assert enough(many, 25) == many[::2]
    assert enough(many, 1) == many[::4]


def test_copy_that_the_disk_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(StorageError, match=r"could not write .*/export/000000\.jpg"):
        export_copies([tmp_path / "a.jpg"], tmp_path / "export")
