"""The check itself, on the fake GPU: that it ends, tells failures, and never calls a fake real."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from edge.backends import gpu as gpu_module
from edge.backends.base import InferenceSession
from edge.backends.select import Opening, open_session
from edge.bundle import Bundle, load_bundle
from edge.errors import BackendError, EdgeError
from edge.golden import open_labeller
from edge.preprocess import InputSpec
from edge.sidecar import (
    FORMATS,
    Origin,
    model_facts,
    now,
    sidecar_fields,
    sidecar_files,
    write_sidecars,
)
from tests.conftest import COLOURS
from tests.gpu import figures, peer, wrong_tensor
from tests.gpu.check import STEPS, Step, main
from tests.gpu.endurance import ROOT, run_once
from tests.gpu.kit import environment_without_kit
from tests.gpu.setting import Found, Setting
from tests.support.fake_gpu import FakeGpu, uninstalled

CARD = ROOT / "converters" / "reference" / "cells8.yaml"

Steps = dict[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def labelled_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon is another process and would not see the fake."""
    monkeypatch.setattr("tests.gpu.endurance.run_once", label_here)


def label_here(config: Path) -> dict[str, float]:
    """The files that the daemon would write."""
    settings = json.loads(config.read_bytes())
    bundle = load_bundle(Path(settings["bundle"]))
    opening = Opening(cache=Path(settings["state_dir"]) / "engines")
    session = open_session(bundle, backend=settings["backend"], opening=opening)
    labeller, model = open_labeller(bundle, session), model_facts(bundle, session)
    for image in sorted(Path(settings["watch"][0]["folder"]).iterdir()):
        origin = Origin(image.name)
        fields = sidecar_fields(labeller.label(image), origin, model, host="", created=now())
        write_sidecars(sidecar_files(image, fields, bundle.classes, FORMATS))
    session.close()
    return {"images_per_second": 9999.0, "rejected": 0.0}


@pytest.fixture
def data(tmp_path: Path, colour_jpeg: Callable[..., bytes]) -> Path:
    """A test split of two images of each colour."""
    for name in COLOURS:
        folder = tmp_path / "data" / "test" / name
        folder.mkdir(parents=True)
        for seed in (1, 2):
            (folder / f"{seed}.jpg").write_bytes(colour_jpeg(name, seed=seed))
    return tmp_path / "data"


def check_bundle(
    bundle: Path, *options: str, steps: dict[str, Step] | None = None
) -> tuple[int, Path]:
    out = bundle.parent / "figures.json"
    few = ["--images", "12", "--rounds", "2", "--calls", "40"]
    code = main(["--bundle", str(bundle), "--out", str(out), *few, *options], steps=steps)
    return code, out


def read_steps(out: Path) -> Steps:
    return {step["name"]: step for step in json.loads(out.read_bytes())["steps"]}


def test_every_step_on_the_fake_ends_and_is_reported(
    trt_bundle: Path, fake_gpu: FakeGpu, data: Path
) -> None:
    code, out = check_bundle(trt_bundle, "--data", str(data))
    steps = read_steps(out)
    assert code == 0, steps
    assert list(steps) == list(STEPS)
    assert steps["torch"]["reason"] == "no --torch-python was given"
    elsewhere = {"torch", "wrong tensor", "stream", "killed process", "lost context"}
    assert {n for n, s in steps.items() if s["state"] == "skipped"} == elsewhere
    assert {s["state"] for n, s in steps.items() if n not in elsewhere} == {"ok"}
    assert steps["accuracy"]["figures"]["int8"]["right"]["count"] == 6
    assert set(steps["levels"]["figures"]["latencies"]) == {
        f"{level} {p}" for level in ("engine", "call", "image", "file") for p in ("int8", "fp16")
    }
    assert list(steps["batch sweep"]["figures"]) == ["1", "2", "4", "8", "16", "32", "64"]
    assert [run["images"] for run in steps["throughput"]["figures"]["runs"]] == [12, 12]
    assert len(fake_gpu.builds) == 2, "the daemon did not find the engines that were built"
    assert fake_gpu.allocations == 0
    assert fake_gpu.pushed == 0


def test_figures_of_the_fake_are_marked_and_judge_no_target(
    trt_bundle: Path, fake_gpu: FakeGpu
) -> None:
    code, out = check_bundle(trt_bundle)
    assert (code, fake_gpu.name) == (0, "Fake RTX 4000")
    text = out.with_suffix(".md").read_text()
    assert text.startswith(figures.STAND_INS)
    assert set(json.loads(out.read_bytes())["targets"].values()) == {figures.NOT_MEASURED}


def test_figures_are_never_written_into_the_documentation(
    trt_bundle: Path, fake_gpu: FakeGpu, capsys: pytest.CaptureFixture[str]
) -> None:
    page = ROOT / "docs" / "gpu.json"
    assert main(["--bundle", str(trt_bundle), "--out", str(page)]) == 2
    assert "lies in docs" in capsys.readouterr().err
    assert not page.exists()
    assert fake_gpu.builds == []


def test_a_lost_gpu_fails_its_steps_and_the_others_go_on(
    trt_bundle: Path, fake_gpu: FakeGpu
) -> None:
    def lose(_setting: Setting) -> Found:
        fake_gpu.lost = True
        return Found({})

    names = ("device", "engines", "lose", "golden images", "memory")
    code, out = check_bundle(
        trt_bundle, steps={name: {**STEPS, "lose": lose}[name] for name in names}
    )
    steps = read_steps(out)
    assert code == 1
    assert [steps[n]["state"] for n in names] == ["ok", "ok", "ok", "failed", "failed"]
    assert "the GPU cannot be used" in steps["golden images"]["reason"]


def test_an_engine_that_is_wrong_is_left_out_of_the_later_steps(
    trt_bundle: Path, fake_gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_int8(_bundle: Bundle, session: InferenceSession) -> None:
        if session.precision == "int8":
            raise BackendError("logits off by 59.5% of their range")

    monkeypatch.setattr("tests.gpu.engines.check_session", refuse_int8)
    names = ("device", "engines", "golden images", "levels", "batch sweep")
    code, out = check_bundle(trt_bundle, steps={name: STEPS[name] for name in names})
    steps = read_steps(out)
    assert (code, fake_gpu.allocations) == (1, 0)
    assert steps["golden images"]["reason"] == "int8 refused: logits off by 59.5% of their range"
    assert set(steps["batch sweep"]["figures"]["8"]) == {"fp16"}
    assert not [n for n in steps["levels"]["figures"]["latencies"] if "int8" in n]


def test_the_first_wrong_tensor_is_found_by_halving() -> None:
    names = [str(number) for number in range(13)]
    for first in range(13):
        asked: list[str] = []

        def deviate(name: str, first: int = first, asked: list[str] = asked) -> float:
            asked.append(name)
            return 0.3 if int(name) >= first else 0.02

        assert wrong_tensor.first_wrong(names, deviate) == str(first)
        assert len(asked) <= 4
    assert wrong_tensor.first_wrong(names, lambda _: 0.02) is None


def test_a_refused_int8_engine_is_compared_tensor_by_tensor(
    trt_bundle: Path, fake_gpu: FakeGpu
) -> None:
    def refuse(setting: Setting) -> Found:
        setting.refused["int8"] = "wrong"
        return Found({})

    steps = {"engines": STEPS["engines"], "refuse": refuse, "wrong tensor": STEPS["wrong tensor"]}
    code, out = check_bundle(trt_bundle, steps=steps)
    found = read_steps(out)["wrong tensor"]["figures"]
    assert (code, fake_gpu.allocations) == (0, 0)
    assert found["whole"] == dict.fromkeys(
        ("as built quickly", "INT8 without FP16", "level 0"), pytest.approx(0, abs=1e-5)
    )
    assert found["first_wrong"] is None
    # The fake computes right engines; a wrong one is one whose logits change places.
    fake_gpu.swapped_above = 0
    check_bundle(trt_bundle, steps=steps)
    assert read_steps(out)["wrong tensor"]["figures"]["first_wrong"] == "logits"


def test_a_gpu_lost_within_a_step_fails_it_with_the_device_s_error(
    trt_bundle: Path, fake_gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: object) -> None:
        fake_gpu.lost = True

    monkeypatch.setattr("tests.gpu.engines.check_session", lose)
    names = ("engines", "golden images")
    code, out = check_bundle(trt_bundle, steps={name: STEPS[name] for name in names})
    assert code == 1
    assert "ILLEGAL_ADDRESS" in read_steps(out)["golden images"]["reason"]


def test_a_step_that_breaks_is_a_failure_with_its_place(
    trt_bundle: Path, fake_gpu: FakeGpu
) -> None:
    def break_(_setting: Setting) -> Found:
        raise ZeroDivisionError("by zero")

    code, out = check_bundle(trt_bundle, steps={"broken": break_, "device": STEPS["device"]})
    steps = read_steps(out)
    assert code == 1
    assert steps["broken"]["reason"].startswith("ZeroDivisionError at test_check.py:")
    assert steps["device"]["figures"]["gpu"] == fake_gpu.name


def test_without_a_graph_for_a_precision_the_engines_step_fails(
    small_bundle: Path, fake_gpu: FakeGpu
) -> None:
    code, out = check_bundle(small_bundle, steps={"engines": STEPS["engines"]})
    assert (code, fake_gpu.builds) == (1, [])
    assert read_steps(out)["engines"]["state"] == "failed"


def test_images_without_sidecars_fail_the_throughput_step(
    trt_bundle: Path, fake_gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = {"images_per_second": 9999.0, "rejected": 0.0}
    monkeypatch.setattr("tests.gpu.endurance.run_once", lambda _config: tally)
    names = ("device", "engines", "throughput")
    code, out = check_bundle(trt_bundle, steps={name: STEPS[name] for name in names})
    assert (code, fake_gpu.lost) == (1, False)
    assert read_steps(out)["throughput"]["reason"] == "24 files are missing or too many"


def test_run_once_starts_the_real_daemon_and_reads_its_tally(
    small_bundle: Path, colour_jpeg: Callable[..., bytes], tmp_path: Path
) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "1.jpg").write_bytes(colour_jpeg("red"))
    config = {
        "bundle": str(small_bundle),
        "backend": "onnxruntime",
        "watch": [{"folder": str(tmp_path / "export")}],
        "state_dir": str(tmp_path / "state"),
        "settle_s": 0.1,
    }
    (tmp_path / "edge.yaml").write_text(json.dumps(config))
    tally = run_once(tmp_path / "edge.yaml")
    assert (tally["labelled"], tally["rejected"]) == (1, 0)
    assert tally["images_per_second"] > 0
    (tmp_path / "edge.yaml").write_text(json.dumps({**config, "bakend": "auto"}))
    with pytest.raises(EdgeError, match=r"edge-daemon ended with 2: error: .*bakend"):
        run_once(tmp_path / "edge.yaml")


def test_without_a_gpu_one_line_and_exit_code_5(
    trt_bundle: Path,
    fake_gpu: FakeGpu,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_driver() -> None:
        raise BackendError("no NVIDIA driver (libcuda.so.1 cannot be loaded).")

    monkeypatch.setattr(gpu_module, "cuda_driver", no_driver)
    code, out = check_bundle(trt_bundle)
    said = capsys.readouterr()
    assert (code, said.out, fake_gpu.builds) == (5, "", [])
    assert said.err == "error: no NVIDIA driver (libcuda.so.1 cannot be loaded).\n"
    assert not out.exists()


def test_without_the_library_one_line_and_exit_code_5(
    trt_bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uninstalled(monkeypatch, "tensorrt", "tensorrt_bindings")
    code, _ = check_bundle(trt_bundle)
    assert code == 5
    assert capsys.readouterr().err.startswith("error: tensorrt cannot be loaded")


def measured(**changes: Any) -> dict[str, Any]:
    """Figures of steps as a real device gives them."""
    run = {"images_per_second": 3100.0, "settings": {"workers": 8}, "problem": None}
    return {
        "device": {"is_real": True},
        "levels": {"latencies": {"file int8": {"p99_ms": 4.2}}},
        "throughput": {"runs": [{**run, "images_per_second": 900.0, "settings": {}}, run]},
        "batch sweep": {"1": {"ratio": 1.1}, "8": {"ratio": 0.8}, "16": {"ratio": 0.84}},
        **changes,
    }


def test_targets_are_met_or_missed_by_the_figures_alone() -> None:
    assert list(figures.verdicts(measured()).values()) == [
        "met: 4.2 ms",
        "met: 3100.0 images/s with {'workers': 8}",
        "met: at most 0.84, at batch 16",
    ]
    worse = measured(**{"batch sweep": {"8": {"ratio": 0.86}}, "levels": {}})
    assert list(figures.verdicts(worse).values())[::2] == [
        "not measured",
        "missed: at most 0.86, at batch 8",
    ]


def test_the_torch_process_answers_and_tells_errors(tmp_path: Path) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    images = np.random.default_rng(1).integers(0, 256, (2, 160, 160, 3), np.uint8)
    spec = InputSpec.from_dict(yaml.safe_load(CARD.read_text())["input"])
    with peer.open_peer(sys.executable, spec, 8, images, tmp_path, device="cpu") as opened:
        logits = np.array(opened.greeting["logits"])
        asked = {"variant": "eager fp32", "level": "call", "batch": 3, "calls": 2}
        times = opened.ask(asked, 60)["ms"]
        wrong = opened.ask({**asked, "variant": "none"}, 60)
    assert logits.shape == (2, 8)
    assert len(times) == 2
    assert wrong == {"error": "KeyError: 'none'"}
    with (
        pytest.raises(EdgeError, match="the torch process ended with 1: RuntimeError"),
        peer.open_peer(sys.executable, spec, 8, images, tmp_path, device="nonsense"),
    ):
        pass


def test_environment_without_the_kit_keeps_what_is_not_of_the_kit() -> None:
    environ = {
        "KIT": "/k/kit",
        "PYTHONHOME": "/k/kit/py",
        "PYTHONPATH": "/k/kit/site",
        "LD_LIBRARY_PATH": "/k/kit/trt:/usr/local/cuda/lib64",
        "PATH": "/bin",
    }
    kept = {"LD_LIBRARY_PATH": "/usr/local/cuda/lib64", "PATH": "/bin"}
    assert environment_without_kit(environ) == kept
