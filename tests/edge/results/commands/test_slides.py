"""Tests for edge-results show and complete, with real sidecars."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge.results.cli import main
from edge.results.document.from_json import from_json
from edge.results.document.result import State, slide_key
from edge.results.issued.issued import Issued
from edge.results.verification.folder import write_verification
from edge.results.verification.verification_file import VerificationFile
from tests.support.errors_bundle import evidence, perfect_rows, write_errors_bundle
from tests.support.sidecar_tree import export, outcome, rejected_outcome
from tests.support.slide_results import PERSON

Run = Callable[..., str]
MIX = {"neutrophil": 12, "lymphocyte": 6, "eosinophil": 1, "ig": 1, "platelet": 2}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object, exit_code: int = 0) -> str:
        assert main([str(one) for one in arguments]) == exit_code
        shown = capsys.readouterr()
        return shown.err if exit_code else shown.out

    return call


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    root = tmp_path / "watched"
    export_slide(root, "S000123", MIX)
    export_slide(root, "S000124", {"neutrophil": 9})
    for folder in ("day1", "day2"):
        export(root, f"{folder}/S000125/slide-1/1.jpg", sample_id="S000125", slide_id="slide-1")
    export(root, "unsorted/1.jpg")
    bad = rejected_outcome(b"bad")
    ids = {"sample_id": "S000123", "slide_id": "slide-1"}
    export(root, "S000123/slide-1/bad.jpg", bad, content=b"bad", **ids)  # type: ignore[arg-type]
    unsure = outcome(b"?", "ig", 0.4, is_identified=False)
    export(root, "S000123/slide-1/q.jpg", unsure, content=b"?", **ids)  # type: ignore[arg-type]
    rows = ["path,sample_id,slide_id,cells,wbc", "S000124/slide-1,S000124,slide-1,10,7.3"]
    (root / "manifest.csv").write_text("".join(f"{row}\n" for row in rows))
    return root


def export_slide(root: Path, sample: str, counts: dict[str, int]) -> None:
    labels = [label for label, count in counts.items() for _ in range(count)]
    for number, label in enumerate(labels):
        name = f"{sample}/slide-1/{number:04}.jpg"
        found = outcome(name.encode(), label)
        export(root, name, found, sample_id=sample, slide_id="slide-1", formats=("json",))


def kinds(text: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in text.splitlines():
        fields = json.loads(line)
        found.setdefault(fields.pop("kind"), []).append(fields)
    return found


def verify(watched: Path, folder: Path) -> None:
    cells = [json.loads(p.read_bytes()) for p in (watched / "S000123").rglob("*.json")]
    labels = {
        cell["image"]["sha256"]: cell["label"] or "artefact"
        for cell in cells
        if cell["status"] != "rejected"
    }
    now = datetime.now(UTC)
    write_verification(folder, VerificationFile("S000123", "slide-1", 0, PERSON, now, labels))


def test_show_lists_slides_and_what_does_not_leave_with_its_reason(run: Run, watched: Path) -> None:
    text = run("show", watched)
    lines = text.splitlines()
    assert lines[:3] == [
        "sample    slide    state           NEU EOS BAS LYM MON  IG  NRBC  PLT  un  rej",
        "S000123   slide-1  prelim.     %    60   5   0  30   0   5   0.0  yes   1    1",
        "23 cells           not issued  n    12   1   0   6   0   1     0    2",
    ]
    assert "S000124   slide-1  incomplete  %   100   0   0   0   0   0" in text
    assert "  S000124 slide-1: more images: 9 of 10 are there" in lines
    held = "its id is in 2 folders; give each slide its own id (2 images)"
    assert f"  S000125 slide-1: {held}" in lines
    nameless = "no manifest and no path template names the sample (1 image)"
    assert f"  unsorted: {nameless}" in lines
    assert lines[-1] == (
        "1 result to issue, 0 issued, 1 incomplete, 1 held, 1 folder without a sample; "
        "1 result with flags."
    )


def test_show_table_stays_within_80_columns(run: Run, watched: Path) -> None:
    table = run("show", watched).partition("\n\n")[0]
    assert max(map(len, table.splitlines())) <= 80


def test_show_as_json_gives_documents_of_results(run: Run, watched: Path) -> None:
    text = run("show", watched, "--json")
    found = kinds(text)
    assert {kind: len(items) for kind, items in found.items()} == {
        "new": 1,
        "incomplete": 1,
        "held": 1,
        "unidentified_sample": 1,
    }
    result = from_json(json.dumps(found["new"][0]["result"]).encode())
    assert (result.sample_id, result.state) == ("S000123", State.PRELIMINARY)
    assert text.isascii()


def test_show_of_one_slide_has_both_intervals_with_its_bundle(
    run: Run, watched: Path, tmp_path: Path
) -> None:
    text = run("show", watched, "--slide", "S000123")
    assert "none: no bundle was given" in text
    assert "S000124" not in text
    # The sidecars' model is another one, so that its table is not used.
    tables = evidence({"model.int8.onnx": perfect_rows(50)})
    bundle = write_errors_bundle(tmp_path / "other.edge", tables, {})
    text = run("show", watched, "--slide", "S000123/slide-1", "--bundle", bundle)
    assert "that labelled, aaaaaaaaaaaa..., was not given" in text
    row = next(line.split() for line in text.splitlines() if line.startswith("neutrophil"))
    assert row[:4] == ["neutrophil", "12", "60", "60.00"]


@pytest.mark.parametrize(
    ("options", "state"),
    [((), "preliminary, revision 1, not issued"), (("--quiet", "never"), "incomplete, not issued")],
)
def test_show_of_one_slide_that_is_not_issued_says_so(
    run: Run, watched: Path, options: tuple[str, ...], state: str
) -> None:
    text = run("show", watched, "--slide", "S000123", *options)
    assert f"state      {state}\n" in text


def test_show_of_a_slide_that_is_not_there_says_so(run: Run, watched: Path) -> None:
    assert "no slide is called 'S9'" in run("show", watched, "--slide", "S9", exit_code=2)


def test_show_with_a_template_names_samples_of_older_sidecars(run: Run, watched: Path) -> None:
    found = kinds(run("show", watched, "--template", "{sample_id}/*", "--json"))
    assert [one["result"]["sample_id"] for one in found["new"]] == ["S000123", "unsorted"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--template", "{sample}/*"), "did you mean {sample_id}?"),
        (("--template", "{x}/*"), "is not a path template"),
        (("--quiet", "-1"), "is no number of seconds"),
    ],
)
def test_show_with_a_wrong_option_says_so(
    capsys: pytest.CaptureFixture[str], watched: Path, options: tuple[str, ...], text: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["show", str(watched), *options])
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--manifest", "cannot be read"),
        ("--state", "has no issued results"),
        ("--bundle", "there is no"),
    ],
)
def test_show_with_a_file_that_is_not_there_says_so(
    run: Run, watched: Path, option: str, text: str
) -> None:
    code = 3 if option == "--bundle" else 2
    error = run("show", watched, option, watched / "nothing", exit_code=code)
    assert text in error or option == "--bundle"
    assert error.startswith("error: ") or "\nerror: " in error


def test_show_with_the_state_shows_what_was_issued_and_who_verified(
    run: Run, watched: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    Issued.open(state).close()
    verify(watched, state / "verifications")
    with Issued.open(state) as issued:
        line = json.dumps(
            kinds(run("show", watched, "--state", state, "--json"))["new"][0]["result"]
        )
        issued.add(from_json(line.encode()))
    text = run("show", watched, "--state", state, "--slide", "S000123")
    assert "state      final, revision 1, issued\n" in text
    assert "verified   Dr. Mina Müller (mm), " in text
    assert "0 results to issue, 1 issued" in text


def test_show_a_manifest_with_an_escape_sequence_does_not_reach_the_terminal(
    run: Run, watched: Path
) -> None:
    export(watched, "x/1.jpg", sample_id="S\x1b[2J", slide_id=None)
    text = run("show", watched)
    assert "\x1b" not in text
    assert "its sample id has a control character" in text


def test_show_torn_sidecar_keeps_its_slide_back(run: Run, watched: Path) -> None:
    path = watched / "S000123" / "slide-1" / "0001.jpg.json"
    path.write_bytes(path.read_bytes()[:200])
    text = run("show", watched)
    assert "S000123 slide-1: 1 sidecar of its folder that cannot be read" in text


def test_complete_is_an_operator_s_word_about_an_incomplete_slide(
    run: Run, watched: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    Issued.open(state).close()
    word = ("complete", watched, "--state", state, "--by", "Kim Lee", "--slide", "slide-1")
    text = run(*word, "--sample", "S000124")
    assert text.startswith("complete with 9 cells, said Kim Lee; it waited for more images: 9 of")
    with Issued.open(state) as issued:
        said = issued.said_complete(slide_key("S000124", "slide-1"))
        assert said is not None
        assert said[0] == "Kim Lee"
    assert len(kinds(run("show", watched, "--state", state, "--json"))["new"]) == 2
    error = run(*word, "--sample", "S000124", exit_code=2)
    assert "no slide of these ids is incomplete" in error


def test_complete_without_state_says_so(run: Run, watched: Path) -> None:
    said = run("complete", watched, "--by", "Kim", "--sample", "S000124", exit_code=2)
    assert "there are no issued results to note it in" in said


@pytest.mark.parametrize(
    ("by", "text"), [(" ", "--by: it is empty"), ("Kim\nLee", "Kim\\nLee' has a line break")]
)
def test_complete_by_nobody_or_in_two_lines_is_wrong_usage(
    watched: Path, capsys: pytest.CaptureFixture[str], by: str, text: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["complete", str(watched), "--by", by, "--sample", "S000124"])
    assert text in capsys.readouterr().err


def test_show_with_images_that_are_not_there_says_so(run: Run, watched: Path) -> None:
    said = run("show", watched, "--images", watched / "NOPE", exit_code=2)
    assert "NOPE does not exist; give the watch folder" in said


CONFIG = """state_dir: state
sidecars: {folder: watched}
slides: {quiet_s: null}
targets:
  - {name: lis, format: generic, drop: drop}
"""


def test_show_and_complete_take_the_configuration_of_send(
    run: Run, watched: Path, tmp_path: Path
) -> None:
    config = tmp_path / "results.yaml"
    config.write_text(CONFIG)
    (tmp_path / "drop").mkdir()
    waiting = kinds(run("show", "--config", config, "--json"))
    assert {one["result"]["sample_id"] for one in waiting["incomplete"]} == {"S000123", "S000124"}
    with Issued.open(tmp_path / "state"):
        pass
    word = ("complete", "--config", config, "--sample", "S000123", "--slide", "slide-1")
    run(*word, "--by", "A. Meyer")
    shown = kinds(run("show", "--config", config, "--json"))
    assert [one["result"]["sample_id"] for one in shown["new"]] == ["S000123"]
    assert "PATH and --config" in run("show", watched, "--config", config, exit_code=2)
    assert "PATH is missing" in run("show", exit_code=2)
