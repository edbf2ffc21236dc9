from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.errors import ModelError
from tests.networks import rivals, rows, table
from tests.networks.cli import main
from tests.networks.compare import NNCF_ORT, OPENVINO, OPENVINO_INT8, ORT, comparison_as_markdown
from tests.networks.conversion import Settings, missing_graphs, reason_in
from tests.networks.formats import FORMATS, Written
from tests.networks.record import CONVERTED, DONE, FAILED, Record, Row
from tests.networks.rows import Task, converted, one_line
from tests.networks.table import run_tasks, tasks
from tests.networks.text import rows_as_markdown

SETTINGS = Settings(
    data=Path("data"),
    calibration_images=1,
    validation_per_class=1,
    test_per_class=1,
    max_drop_points=1.0,
    limit_s=60,
)
FIRST, SECOND = Task("resnet", "onnx"), Task("mobilenet_v2", "onnx")
ROW: Row = {
    "network": "vit_tiny",
    "format": "onnx",
    "side_px": 96,
    "trained": "4 epochs",
    "state": DONE,
    "accuracy": {"fp32": {"rate": 0.8125}, "x86": {"rate": 0.8094}},
    "agreement": {"x86": 0.9969},
    "int8_share": {"x86": 0.93},
    "ms": {"fp32": 3.0, "x86": 2.0},
    "minutes": 0.74,
    "missing": ["no INT8 graph for tensorrt: too far off"],
    "engine": "no: a|b",
}


class Lab:
    """Rows that take no time: which were converted and timed, and what of them fails."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder / "table.json"
        self.converted: list[str] = []
        self.timed: list[str] = []
        self.failing: set[str] = set()
        self._folder = folder
        monkeypatch.setattr(table, "copy_folders", lambda *_, **__: None)
        monkeypatch.setattr(table, "JudgingImages", lambda _: None)
        monkeypatch.setattr(table, "converted", self._convert)
        monkeypatch.setattr(table, "timed", self._time)

    def run(self, *wanted: Task, settings: dict[str, Any] | None = None) -> Record:
        record = Record(self.path, settings or {})
        run_tasks(
            list(wanted), self._folder, self._folder, SETTINGS, record, jobs=1, say=lambda _: None
        )
        return record

    def _convert(self, task: Task, *_: object) -> Row:
        self.converted.append(task.name)
        if task.name in self.failing:
            return {"state": FAILED, "reason": "it broke"}
        return {"state": CONVERTED}

    def _time(self, row: Row, task: Task, *_: object) -> Row:
        self.timed.append(task.name)
        return {**row, "state": DONE}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(tmp_path, monkeypatch)


def test_table_run_again_converts_only_what_is_not_there(lab: Lab) -> None:
    lab.run(FIRST)
    lab.run(FIRST, SECOND)
    assert lab.converted == [FIRST.name, SECOND.name]
    assert lab.timed == [FIRST.name, SECOND.name]


def test_table_failed_row_keeps_its_reason_and_the_others_go_on(lab: Lab) -> None:
    lab.failing = {FIRST.name}
    found = lab.run(FIRST, SECOND).rows([FIRST.name, SECOND.name])
    assert found == [{"state": FAILED, "reason": "it broke"}, {"state": DONE}]
    assert lab.timed == [SECOND.name]


def test_table_failed_row_is_tried_again(lab: Lab) -> None:
    lab.failing = {FIRST.name}
    lab.run(FIRST)
    lab.failing = set()
    assert lab.run(FIRST).row(FIRST.name) == {"state": DONE}


def test_table_stopped_before_the_timing_goes_on_with_it(lab: Lab) -> None:
    Record(lab.path, {}).keep(FIRST.name, {"state": CONVERTED})
    assert lab.run(FIRST).row(FIRST.name) == {"state": DONE}
    assert lab.converted == []


def test_record_of_other_settings_is_not_mixed_in(lab: Lab) -> None:
    lab.run(FIRST, settings={"images": 64})
    lab.run(FIRST, settings={"images": 32})
    assert lab.converted == [FIRST.name, FIRST.name]
    assert json.loads(lab.path.read_text())["settings"] == {"images": 32}


def test_row_of_an_untrained_network_names_the_command(tmp_path: Path) -> None:
    row = converted(FIRST, tmp_path, tmp_path, SETTINGS, None)  # type: ignore[arg-type]
    assert row["state"] == FAILED
    assert "python -m tests.networks train --networks resnet" in row["reason"]


def test_row_whose_conversion_is_refused_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> float:
        raise ModelError("exit 3: model.onnx is empty.")

    card = {"input": {"height": 64, "width": 64, "channels": "rgb", "resize": "area"}}
    card["input"] |= {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    monkeypatch.setattr(rows, "load_network", lambda *_: (None, card))
    monkeypatch.setitem(FORMATS, "onnx", lambda source: Written(source.folder / "model.onnx"))
    monkeypatch.setattr(rows, "convert", refuse)
    row = converted(FIRST, tmp_path, tmp_path, SETTINGS, None)  # type: ignore[arg-type]
    assert row["reason"] == "exit 3: model.onnx is empty."


def test_reason_of_a_library_names_its_kind_in_one_line() -> None:
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert one_line(ModelError("a b")) == "a b"


def test_reason_is_the_error_line_and_not_the_progress() -> None:
    assert reason_in("opening m ...\nerror: m is empty.\nrow: 1 of 2\n") == "m is empty."
    assert reason_in("Killed\n\n") == "Killed"
    assert reason_in("") == "nothing was said"


def test_missing_graphs_are_those_that_the_report_names() -> None:
    said = "FP32 ONLY: a\nwarning: no INT8 graph for x86: lost 2 points\nwarning: few images\n"
    assert missing_graphs(said) == ["no INT8 graph for x86: lost 2 points"]


def test_tasks_are_each_network_in_its_own_format_and_each_format_once() -> None:
    found = tasks(["tv_regnet", "resnet"])
    assert found[0] == Task("tv_regnet", "onnx")
    of_resnet = [task.file_format for task in found if task.network == "resnet"]
    assert of_resnet[0] == "state dict"
    assert sorted(of_resnet) == sorted(set(FORMATS) - {"transformers safetensors"})
    assert tasks(["resnet"], ["pt2"]) == [Task("resnet", "pt2")]


def test_markdown_shows_what_was_measured_and_what_was_refused() -> None:
    line = rows_as_markdown([ROW]).splitlines()[2]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        *("vit_tiny", "96", "4 epochs", "onnx", "81.2 %", "80.9 %", "refused"),
        *("99.7 % / -", "93.0 % / -", "1.50", "0.7", "no: a/b"),
    ]


def test_markdown_lists_missing_graphs_and_failed_rows_below_the_table() -> None:
    failed = {"network": "a", "format": "onnx", "state": FAILED, "reason": "it broke"}
    assert rows_as_markdown([ROW, failed]).splitlines()[-2:] == [
        "- vit_tiny, onnx: no INT8 graph for tensorrt: too far off",
        "- a, onnx: failed: it broke",
    ]
    assert rows_as_markdown([failed]) == "- a, onnx: failed: it broke"


def test_command_unknown_network_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["table", "--data", "d", "--nets", "n", "--out", "o", "--networks", "resnot"])
    assert ended.value.code == 2
    assert "resnot" in capsys.readouterr().err


def test_comparison_without_the_other_tools_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rivals, "PACKAGES", ("json", "no_such_quantizer"))
    words = ["--data", str(tmp_path), "--nets", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(["compare", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_comparison_shows_ratios_to_its_own_and_to_onnx_runtime_fp32() -> None:
    share = {"rate": 0.9}
    names = {ORT: 4.0, OPENVINO: 2.0, OPENVINO_INT8: 1.0}
    row = {
        "network": "vit_tiny",
        "format": "onnx",
        "state": DONE,
        "accuracy": dict.fromkeys(names, share),
        "agreement": dict.fromkeys(names, 1.0),
        "ms": names,
        "reasons": {NNCF_ORT: "it broke"},
    }
    lines = comparison_as_markdown([row]).splitlines()
    assert lines[4] == f"| vit_tiny | {OPENVINO_INT8} | 90.0 % | 100.0 % | 1.00 | 2.00 | 4.00 |"
    assert lines[5] == f"| vit_tiny | {NNCF_ORT} | none: it broke | - | - | - | - |"
