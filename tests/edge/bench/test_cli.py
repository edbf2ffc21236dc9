from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edge.bench.cli import main
from edge.bench.reading.file import read_document
from edge.text.wrapped import WIDTH
from tests.support.images import Jpeg
from tests.support.laboratory import fitted
from tests.support.small_bundle import write_small_bundle

# However busy the machine of the tests is.
WARM_UP = ["--warm-up", "0.2"]
ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "edge/schemas/edge-bench-2.json").read_text())


def measure(bundle: Path, folder: Path, *words: str) -> dict[str, Any]:
    """The document, valid and read back."""
    path = folder / "report.json"
    written = ["--output", str(folder), "--json", str(path)]
    assert main([str(bundle), *written, *WARM_UP, *words]) == 0
    found: dict[str, Any] = json.loads(path.read_text())
    jsonschema.validate(found, SCHEMA)
    assert [one.id for one in read_document(path).series] == [one["id"] for one in found["series"]]
    return found


def ids(document: dict[str, Any]) -> list[str]:
    return [one["id"] for one in document["series"]]


@pytest.fixture
def own_images(tmp_path: Path, colour_jpeg: Jpeg) -> Path:
    images = tmp_path / "own"
    images.mkdir()
    (images / "a.jpg").write_bytes(colour_jpeg())
    return images


def test_bench_by_default_measures_three_levels_of_both_precisions_in_turns(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = measure(small_bundle, tmp_path, "--samples", "40")
    levels = [f"{level}/single_stream" for level in ("engine", "call", "image")]
    assert ids(found) == [f"{level}/{p}" for level in levels for p in ("fp32", "int8")]
    assert {one["count"] for one in found["series"]} == {40}
    assert [(one["of"], one["to"]) for one in found["ratios"]] == [
        (f"{level}/fp32", f"{level}/int8") for level in levels
    ]
    assert list(found["series"][-1]["stages_ns"]) == [
        *("decode", "preprocess", "infer", "decide", "sidecar")
    ]
    said = capsys.readouterr()
    assert "plan: engine, call and image level, single stream, 40 samples" in said.err
    for level in ("engine", "call", "image"):
        assert f"\n{level} level " in said.out
    assert "needs 459" in said.out
    assert max(map(len, said.out.splitlines())) <= WIDTH


def test_bench_names_bundle_images_machine_and_command_without_folders(
    small_bundle: Path, own_images: Path, tmp_path: Path
) -> None:
    words = ["--samples", "7", "--level", "call", "--images", str(own_images)]
    found = measure(small_bundle, tmp_path, *words)
    assert found["bundle"]["name"] == "colours"
    assert found["images"]["source"] == "own"
    assert found["images"]["count"] == 1
    assert found["environment"]["cores"] >= 1
    assert str(tmp_path) not in json.dumps(found)
    assert found["command"][:2] == ["edge-bench", small_bundle.name]


def test_bench_with_batches_and_threads_gives_a_series_for_each(
    small_bundle: Path, tmp_path: Path
) -> None:
    words = ["--level", "call", "--samples", "7", "--batches", "1,8", "--threads", "1,2"]
    found = measure(small_bundle, tmp_path, *words, "--precision", "int8")
    head = "call/single_stream/int8"
    assert ids(found) == [head, f"{head}/t2", f"{head}/x8", f"{head}/x8/t2"]


@pytest.mark.parametrize("mode", ["open-loop-constant", "open-loop-poisson"])
def test_bench_of_an_open_loop_gives_latencies_and_how_late_it_was(
    mode: str, small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--level", "call,image", "--mode", mode, "--rate", "20", "--samples", "30"]
    found = measure(small_bundle, tmp_path, *words, "--precision", "fp32", "--workers", "1")
    name = mode.replace("-", "_")
    assert ids(found) == [f"{level}/{name}/fp32/20ps" for level in ("call", "image")]
    assert {one["count"] for one in found["series"]} == {30}
    # 30 requests have a median and no p99, of their lateness as of their latency.
    assert re.search(r"sent [\d.]+ ms late at p50, [\d.]+ ms at most", found["notes"][0])
    assert list(found["series"][1]["stages_ns"]) == [
        *("wait", "decode", "preprocess", "infer", "decide")
    ]
    assert "20 images/s, latency from the intended start" in " ".join(
        capsys.readouterr().out.split()
    )


def test_bench_of_bursts_tells_the_time_to_the_last(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--level", "image", "--mode", "burst", "--burst", "20", "--samples", "7"]
    found = measure(small_bundle, tmp_path, *words, "--workers", "2")
    assert found["series"][0]["count"] == 140
    assert "the last of 20 images after" in " ".join(capsys.readouterr().out.split())


def test_bench_offline_uses_its_workers(small_bundle: Path, tmp_path: Path) -> None:
    words = ["--level", "engine,call,image", "--mode", "offline", "--samples", "2"]
    found = measure(small_bundle, tmp_path, *words, "--workers", "2", "--precision", "int8")
    assert ids(found) == [f"{level}/offline/int8/w2" for level in ("engine", "call", "image")]
    assert {one["count"] for one in found["series"]} == {512}


def test_bench_at_file_level_goes_through_the_daemon(small_bundle: Path, tmp_path: Path) -> None:
    words = ["--level", "file", "--mode", "open-loop-constant", "--rate", "50", "--samples", "20"]
    found = measure(small_bundle, tmp_path, *words, "--precision", "fp32")
    (one,) = found["series"]
    assert (one["subject"], one["count"], one["offered_per_second"]) == ("fp32", 20, 50)
    assert list(one["stages_ns"]) == ["decode", "preprocess", "infer", "service"]
    parts = [sum(values) for values in zip(*one["stages_ns"].values(), strict=True)]
    assert parts == one["durations_ns"]
    assert min(one["durations_ns"]) > 0


def test_bench_at_file_level_one_by_one_and_in_bursts_sees_every_sidecar(
    small_bundle: Path, tmp_path: Path
) -> None:
    single = measure(small_bundle, tmp_path, "--level", "image,file", "--samples", "8")
    assert ids(single)[-1].startswith("file/single_stream/")
    words = ["--level", "file", "--mode", "burst", "--burst", "30", "--samples", "2"]
    found = measure(small_bundle, tmp_path, *words)
    assert found["series"][0]["count"] == 60


def test_bench_at_file_level_offline_compares_once_with_a_loop_of_as_many_threads(
    small_bundle: Path, own_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--level", "file", "--mode", "offline", "--samples", "1", "--workers", "2"]
    found = measure(small_bundle, tmp_path, *words, "--images", str(own_images))
    bare, daemon = found["series"]
    assert (bare["subject"], bare["level"], daemon["level"]) == ("bare loop", "image", "file")
    assert bare["workers"] == daemon["workers"] == 2
    assert bare["images_per_call"] == daemon["images_per_call"] == 500
    assert found["ratios"][0]["what"] == "images per second"
    assert found["ratios"][0]["of"] == daemon["id"]
    assert "edge-daemon once with durable JSON and CSV" in " ".join(capsys.readouterr().out.split())


def test_bench_of_a_rate_that_is_not_held_ends_in_one_line(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(small_bundle), "--output", str(tmp_path), "--level", "image"]
    words += ["--mode", "open-loop-constant", "--rate", "3000", "--seconds", "60", *WARM_UP]
    assert main(words) == 5
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert "3000 images/s are more than" in line
    assert "Give a lower --rate." in line


def test_bench_against_another_back_end_measures_it_in_the_same_turns(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--level", "call,image", "--samples", "20", "--against", "onnxruntime-default"]
    found = measure(small_bundle, tmp_path, *words)
    subjects = [one["subject"] for one in found["series"]]
    assert subjects == ["fp32", "int8", "onnxruntime-default"] * 2
    (entry,) = found["against"]
    assert entry["ran"]
    assert entry["labels_equal"] == entry["labels_compared"] > 0
    assert "labels as ours in FP32" in " ".join(capsys.readouterr().out.split())


def test_bench_of_a_bundle_with_a_reference_judges_familiarity(
    tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    reference = fitted().reference.to_bytes()
    bundle = write_small_bundle(tmp_path / "small.edge", colour_jpeg, reference=reference)
    found = measure(bundle, tmp_path, "--samples", "7", "--level", "image")
    assert {one["subject"] for one in found["series"]} == {"fp32", "int8"}


def test_bench_leaves_nothing_behind(small_bundle: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert main([str(small_bundle), "--samples", "7", "--output", str(tmp_path), *WARM_UP]) == 0
    assert sorted(tmp_path.iterdir()) == before


def test_bench_on_own_images_writes_nothing_beside_them(
    small_bundle: Path, own_images: Path, tmp_path: Path
) -> None:
    measure(small_bundle, tmp_path, "--samples", "7", "--images", str(own_images))
    assert [path.name for path in own_images.iterdir()] == ["a.jpg"]


def test_bench_on_an_image_that_cannot_be_read_names_it(
    small_bundle: Path, own_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_images / "cut.jpg").write_bytes((own_images / "a.jpg").read_bytes()[:-40])
    arguments = [str(small_bundle), "--samples", "7", "--images", str(own_images)]
    assert main([*arguments, "--output", str(tmp_path)]) == 2
    assert f"error: {own_images}/cut.jpg cannot be used: " in capsys.readouterr().err


def test_bench_names_no_folder_of_an_option_that_is_one_word(
    small_bundle: Path, tmp_path: Path
) -> None:
    words = ["--samples", "7", "--level", "call", f"--html={tmp_path}/a=b/x.html"]
    (tmp_path / "a=b").mkdir()
    found = measure(small_bundle, tmp_path, *words)
    assert "--html=x.html" in found["command"]
    assert str(tmp_path) not in json.dumps(found)


def test_bench_whose_reader_has_gone_writes_its_files(
    small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    # Without a buffer, as with PYTHONUNBUFFERED.
    with io.TextIOWrapper(os.fdopen(writing, "wb", buffering=0), write_through=True) as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        measure(small_bundle, tmp_path, "--samples", "7", "--level", "call")


def test_bench_offline_of_one_batch_in_a_pass_compares_within_a_level_only(
    small_bundle: Path, tmp_path: Path
) -> None:
    words = ["--level", "engine,call", "--mode", "offline", "--batches", "256", "--samples", "1"]
    found = measure(small_bundle, tmp_path, *words, "--precision", "fp32,int8", "--workers", "1")
    levels = [(one["of"].split("/")[0], one["to"].split("/")[0]) for one in found["ratios"]]
    assert levels == [("engine", "engine"), ("call", "call")]


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_bench_refuses_a_place_that_is_no_file_before_it_measures(
    option: str, small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to("/dev/null")
    for place in (tmp_path, tmp_path / "link"):
        given = [str(small_bundle), "--output", str(tmp_path), option, str(place)]
        assert main(given) == 6
        said = capsys.readouterr().err
        assert said == f"error: {option}: {place} is not a regular file; give another path.\n"
    assert (tmp_path / "link").is_symlink()


def test_bench_refuses_one_file_for_document_and_page(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").symlink_to(tmp_path)
    both = ["--json", str(tmp_path / "x"), "--html", str(tmp_path / "here" / "x")]
    assert main([str(small_bundle), "--output", str(tmp_path), *both]) == 2
    assert capsys.readouterr().err.startswith("error: --json and --html name the same file")


@pytest.mark.parametrize("option", ["--output", "--json"])
def test_bench_refuses_a_folder_that_takes_no_files_before_it_measures(
    option: str, small_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nobody can write there, although root is allowed to.
    place = "/proc" if option == "--output" else "/proc/x.json"
    assert main([str(small_bundle), option, place]) == 6
    assert "/proc takes no files (" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["absent.edge"], 3),
        (["{bundle}", "--images", "absent"], 2),
        (["{bundle}", "--json", "/nonexistent/x.json"], 2),
        (["{bundle}", "--html", "/nonexistent/x.html"], 2),
        (["{bundle}", "--mode", "open-loop-constant"], 2),
        (["{bundle}", "--against", "torhc"], 2),
        (["{bundle}", "--precision", "fp16"], 3),
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


def test_compare_of_a_measurement_with_itself_finds_no_regression(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = measure(small_bundle, tmp_path, "--samples", "60", "--level", "call")
    # What the machine did meanwhile is of no matter here.
    for one in document["series"]:
        one["unstable_because"] = []
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(json.dumps(document))
    for one in document["series"]:
        one["durations_ns"] = [2 * duration for duration in one["durations_ns"]]
    after.write_text(json.dumps(document))
    assert main(["compare", str(before), str(before), "--allow", "900"]) == 0
    capsys.readouterr()
    assert main(["compare", str(before), str(after), "--allow", "20"]) == 4
    assert "slower" in capsys.readouterr().out


def test_compare_of_what_is_no_measurement_says_so_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")
    assert main(["compare", str(path), str(path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_bench_against_others_measures_who_can_run_and_says_why_others_cannot(
    small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--level", "call,image", "--samples", "10", "--precision", "int8"]
    names = "onnxruntime-default,opencv,onnxruntime-cuda"
    found = measure(small_bundle, tmp_path, *words, "--against", names)
    subjects = {one["subject"] for one in found["series"]}
    assert subjects == {"int8", "onnxruntime-default", "opencv"}
    ran = {one["subject"]: one for one in found["against"]}
    assert ran["opencv"]["labels_equal"] == ran["opencv"]["labels_compared"] > 0
    assert not ran["onnxruntime-cuda"]["ran"]
    # Ours does the same work as the others: it writes no sidecars between its calls.
    assert all("sidecar" not in one["stages_ns"] for one in found["series"])
    said = " ".join(capsys.readouterr().out.split())
    assert "onnxruntime-cuda: not measured: " in said
