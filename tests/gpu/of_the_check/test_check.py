"""The check itself, on the fake GPU: that it ends, tells failures, and never calls a fake real.

Another process does not see the fake, so that the steps are taken in this one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edge.backends.opening import Opening
from edge.backends.select import open_session
from edge.backends.trt import gpu as gpu_module
from edge.bundle import Bundle, load_bundle
from edge.errors import BackendError, EdgeError
from edge.golden import open_labeller
from edge.session import InferenceSession
from edge.sidecar import (
    FORMATS,
    Origin,
    model_facts,
    now,
    sidecar_fields,
    sidecar_files,
    write_sidecars,
)
from tests.gpu import figures
from tests.gpu.budget import Step
from tests.gpu.check import main
from tests.gpu.setting import ROOT, Found, Setting
from tests.gpu.steps.endurance import run_once
from tests.gpu.steps.order import STEPS
from tests.gpu.worker import Here, open_setting
from tests.support.fake_gpu import FakeGpu, uninstalled
from tests.support.images import COLOURS, Jpeg

Steps = dict[str, dict[str, Any]]

ENGINES = ("engine int8", "golden int8", "engine fp16", "golden fp16")


@pytest.fixture(autouse=True)
def labelled_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon is another process and would not see the fake."""
    monkeypatch.setattr("tests.gpu.steps.endurance.run_once", label_here)


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
def data(tmp_path: Path, colour_jpeg: Jpeg) -> Path:
    """A test split of two images of each colour."""
    for name in COLOURS:
        folder = tmp_path / "data" / "test" / name
        folder.mkdir(parents=True)
        for seed in (1, 2):
            (folder / f"{seed}.jpg").write_bytes(colour_jpeg(name, seed=seed))
    return tmp_path / "data"


def check_bundle(bundle: Path, *options: str, steps: Sequence[Step] = STEPS) -> tuple[int, Path]:
    out = bundle.parent / "figures.json"
    few = ["--images", "12", "--rounds", "2", "--calls", "40"]
    argv = ["--bundle", str(bundle), "--out", str(out), *few, *options]
    code = main(argv, steps=steps, open_worker=lambda facts: Here(open_setting(facts)))
    return code, out


def steps_named(*names: str) -> list[Step]:
    known = {step.name: step for step in STEPS}
    return [known[name] for name in names]


def read_steps(out: Path) -> Steps:
    return {step["name"]: step for step in json.loads(out.read_bytes())["steps"]}


def test_every_step_on_the_fake_ends_and_is_reported(
    trt_bundle: Path, fake_gpu: FakeGpu, data: Path
) -> None:
    code, out = check_bundle(trt_bundle, "--data", str(data))
    steps = read_steps(out)
    assert code == 0, steps
    assert list(steps) == [step.name for step in STEPS]
    assert steps["torch"]["reason"] == "no --torch-python was given"
    elsewhere = {"torch", "wrong tensor", "stream", "killed process", "lost context", "tests"}
    assert {n for n, s in steps.items() if s["state"] == "skipped"} == elsewhere
    assert {s["state"] for n, s in steps.items() if n not in elsewhere} == {"ok"}
    assert steps["accuracy"]["figures"]["int8"]["right"]["count"] == 6
    assert steps["accuracy"]["figures"]["fp16"]["same_as_fp32"]["count"] == 6
    assert set(steps["levels"]["figures"]["latencies"]) == {
        f"{level} {p}" for level in ("engine", "call", "image", "file") for p in ("int8", "fp16")
    }
    assert list(steps["batch sweep"]["figures"]) == ["1", "2", "4", "8", "16", "32", "64"]
    assert [run["images"] for run in steps["throughput"]["figures"]["runs"]] == [12, 12]
    assert len(fake_gpu.builds) == 2, "a step or the daemon built an engine of its own"
    assert fake_gpu.allocations == 0
    assert fake_gpu.pushed == 0


def test_the_steps_come_in_the_order_of_worth() -> None:
    names = [step.name for step in STEPS]
    worth = [*ENGINES, "accuracy", "batch sweep", "torch", "stream", "throughput", "lost context"]
    assert [name for name in names if name in worth] == worth
    assert names[0] == "device"
    assert names[-1] == "tests"


def test_a_second_run_takes_the_engines_of_the_first(trt_bundle: Path, fake_gpu: FakeGpu) -> None:
    steps = steps_named("engine int8", "golden int8")
    check_bundle(trt_bundle, steps=steps)
    code, out = check_bundle(trt_bundle, "--steps", "engine int8", steps=steps)
    assert (code, len(fake_gpu.builds)) == (0, 1)
    assert list(read_steps(out)) == ["engine int8"]
    assert read_steps(out)["engine int8"]["figures"]["was_kept"] is True


def test_an_unknown_step_is_refused_with_the_known_ones(
    trt_bundle: Path, fake_gpu: FakeGpu, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = check_bundle(trt_bundle, "--steps", "device,golden")
    assert (code, out.exists(), fake_gpu.builds) == (2, False, [])
    assert "there is no step 'golden'; choose of device, engine int8" in capsys.readouterr().err


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

    engine, golden, memory = steps_named("engine int8", "golden int8", "memory")
    steps = [*steps_named("device"), engine, golden, Step("lose", lose, 9, 0), memory]
    code, out = check_bundle(trt_bundle, steps=steps)
    found = read_steps(out)
    assert code == 1
    assert [found[step.name]["state"] for step in steps] == ["ok", "ok", "ok", "ok", "failed"]
    assert "the GPU cannot be used" in found["memory"]["reason"]


def test_an_engine_that_is_wrong_is_left_out_of_the_later_steps(
    trt_bundle: Path, fake_gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_int8(_bundle: Bundle, session: InferenceSession) -> None:
        if session.precision == "int8":
            session.close()
            raise BackendError("logits off by 59.5% of their range")

    for module in ("tests.gpu.steps.engines", "edge.backends.trt.select"):
        monkeypatch.setattr(f"{module}.check_session", refuse_int8)
    steps = steps_named("device", *ENGINES, "batch sweep", "throughput", "levels")
    code, out = check_bundle(trt_bundle, steps=steps)
    found = read_steps(out)
    assert (code, fake_gpu.allocations) == (1, 0)
    assert found["golden int8"]["reason"] == "int8 refused: logits off by 59.5% of their range"
    assert set(found["batch sweep"]["figures"]["8"]) == {"fp16"}
    assert not [n for n in found["levels"]["figures"]["latencies"] if "int8" in n]
    assert found["throughput"]["figures"]["runs"][0]["labelled_by"] == ["tensorrt fp16"]
    assert len(fake_gpu.builds) == 2, "the daemon built the engine that was refused again"


def test_a_gpu_lost_within_a_step_fails_it_with_the_device_s_error(
    trt_bundle: Path, fake_gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: object) -> None:
        fake_gpu.lost = True

    monkeypatch.setattr("tests.gpu.steps.engines.check_session", lose)
    code, out = check_bundle(trt_bundle, steps=steps_named("engine int8", "golden int8"))
    assert code == 1
    assert "ILLEGAL_ADDRESS" in read_steps(out)["golden int8"]["reason"]


def test_a_step_that_breaks_is_a_failure_with_its_place(
    trt_bundle: Path, fake_gpu: FakeGpu
) -> None:
    def break_(_setting: Setting) -> Found:
        raise ZeroDivisionError("by zero")

    steps = [Step("broken", break_, 9, 0), *steps_named("device")]
    code, out = check_bundle(trt_bundle, steps=steps)
    found = read_steps(out)
    assert code == 1
    assert found["broken"]["reason"].startswith("ZeroDivisionError at test_check.py:")
    assert found["device"]["figures"]["gpu"] == fake_gpu.name


def test_without_a_graph_for_a_precision_its_engine_fails(
    small_bundle: Path, fake_gpu: FakeGpu
) -> None:
    code, out = check_bundle(small_bundle, steps=steps_named("engine int8"))
    assert (code, fake_gpu.builds) == (1, [])
    assert "holds no int8 graph" in read_steps(out)["engine int8"]["reason"]


def test_images_without_sidecars_fail_the_throughput_step(
    trt_bundle: Path, fake_gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome_counts = {"images_per_second": 9999.0, "rejected": 0.0}
    monkeypatch.setattr("tests.gpu.steps.endurance.run_once", lambda _config: outcome_counts)
    steps = steps_named("device", "engine int8", "golden int8", "throughput")
    code, out = check_bundle(trt_bundle, steps=steps)
    assert (code, fake_gpu.lost) == (1, False)
    assert read_steps(out)["throughput"]["reason"] == "24 files are missing or too many"


def test_without_time_all_steps_are_named_as_not_reached(
    trt_bundle: Path, fake_gpu: FakeGpu, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = check_bundle(trt_bundle, "--budget", "0")
    assert (code, fake_gpu.builds) == (0, [])
    states = {step["state"] for name, step in read_steps(out).items() if name != "wrong tensor"}
    assert states == {"not reached"}
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("not reached: device (it needs 5 s, 0 s were left); engine int8 (it ne")
    assert "tests (it needs 30 s, 0 s were left)" in last


def test_run_once_starts_the_real_daemon_and_reads_its_tally(
    small_bundle: Path, colour_jpeg: Jpeg, tmp_path: Path
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
    outcome_counts = run_once(tmp_path / "edge.yaml")
    assert (outcome_counts["labelled"], outcome_counts["rejected"]) == (1, 0)
    assert outcome_counts["images_per_second"] > 0
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
