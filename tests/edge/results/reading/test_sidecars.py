from __future__ import annotations

import json
import logging
import os
import shutil
import socket
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from edge.errors import ConfigError
from edge.results.document.result import ModelIdentity
from edge.results.reading.cell_file import LARGEST_BYTES
from edge.results.reading.problem import Problem, ProblemCode
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.reading.sidecars import read_sidecars
from edge.results.reading.tree import Tally
from edge.sidecar import to_json
from edge.status import Status
from tests.support.sidecar_tree import (
    CREATED,
    export,
    fields_of,
    outcome,
    rejected_outcome,
)


def read(path: Path) -> tuple[list[SidecarCell], list[Problem], Tally]:
    problems: list[Problem] = []
    tally = Tally()
    cells = list(read_sidecars(path, problems.append, tally=tally))
    assert (tally.cells, tally.problems) == (len(cells), len(problems))
    return cells, problems, tally


def entries_below(path: Path) -> int:
    """Entries that are no folder which is looked into."""
    return sum(
        len(names) + sum(Path(folder, name).is_symlink() for name in folders)
        for folder, folders, names in os.walk(path)
    )


def written(path: Path, **changes: Any) -> Path:
    """A sidecar of `path.stem`, in which some fields are others."""
    fields = {**fields_of(outcome(b"x"), path.stem.encode()), **changes}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_json(fields))
    return path


def test_cell_of_a_labelled_image_has_all_that_the_sidecar_says(tmp_path: Path) -> None:
    sidecar = export(tmp_path, "S1/2/a.jpg", sample_id="S1", slide_id="2")
    (cell,), problems, _ = read(tmp_path)
    assert problems == []
    assert cell.image == "S1/2/a.jpg"
    fields = fields_of(outcome(b"S1/2/a.jpg"), b"S1/2/a.jpg", "S1", "2")
    assert cell.probabilities == fields["probabilities"]
    assert asdict(cell) | {"probabilities": {}} == {
        "sidecar": sidecar,
        "folder": "S1/2",
        "file": "a.jpg",
        "sha256": fields["image"]["sha256"],
        "status": Status.LABELLED,
        "label": "neutrophil",
        "confidence": 0.93,
        "probabilities": {},
        "reason": None,
        "message": None,
        "sample_id": "S1",
        "slide_id": "2",
        "model": asdict(ModelIdentity("cells8", "1.0.0", "a" * 64)),
        "precision": "int8",
        "backend": "onnxruntime-cpu",
        "graph": "model.int8.onnx",
        "created": CREATED,
        "is_familiar": None,
        "unfamiliar": None,
        "drift_since": None,
    }


def test_cells_of_unidentified_and_rejected_images_have_no_label(tmp_path: Path) -> None:
    export(tmp_path, "a.jpg", outcome(b"a", "ig", 0.4, is_identified=False))
    export(tmp_path, "b.jpg", rejected_outcome(b"b"))
    (unidentified, rejected), _, _ = read(tmp_path)
    assert (unidentified.status, unidentified.label) == (Status.UNIDENTIFIED, None)
    assert (unidentified.confidence, unidentified.probabilities["ig"]) == (0.4, 0.4)
    assert (rejected.status, rejected.label) == (Status.REJECTED, None)
    assert (rejected.confidence, rejected.probabilities) == (None, {})
    assert (rejected.reason, rejected.message) == ("truncated", "it ends early")


def test_sidecars_in_a_results_folder_are_those_beside_the_images(tmp_path: Path) -> None:
    names = ["a.jpg", "S2/b.jpg", "S10/b.jpg", "S10/deep/er/c.png", "Prüfung/ä.jpg"]
    for name in names:
        export(tmp_path / "beside", name)
        export(tmp_path / "export", name, results=tmp_path / "results")
    beside, _, tally = read(tmp_path / "beside")
    results, _, _ = read(tmp_path / "results")
    order = ["a.jpg", "Prüfung/ä.jpg", "S10/b.jpg", "S10/deep/er/c.png", "S2/b.jpg"]
    assert [cell.image for cell in beside] == order
    assert [cell.image for cell in results] == order
    assert tally.others == 2 * len(names)


def test_sidecar_without_a_folder_has_its_own(tmp_path: Path) -> None:
    sidecar = tmp_path / "S1" / "2" / "a.jpg.json"
    image = fields_of(outcome(b"x"), b"a.jpg")["image"]
    written(sidecar, image={name: image[name] for name in image if name != "folder"})
    written(tmp_path / "b.jpg.json", image={**image, "file": "b.jpg", "folder": "."})
    (first, second), _, _ = read(tmp_path)
    assert (first.image, second.image) == ("b.jpg", "S1/2/a.jpg")


def test_names_of_any_bytes_are_read(tmp_path: Path) -> None:
    # In another Unicode form, of bytes that are no UTF-8, cut, both, and like an escape.
    names = ["a\u0308.jpg".encode(), b"caf\xe9.jpg", b"x" * 251 + b".jpg"]
    names += [b"\xff" * 251 + b".jpg", rb"a\xe9.jpg", ("ä" * 125 + ".jpg").encode()]
    for name in names:
        export(tmp_path, b"f\xe9/" + name)
    cells, problems, _ = read(tmp_path)
    assert problems == []
    assert {cell.folder for cell in cells} == {r"f\xe9"}
    assert {cell.file for cell in cells} == {n.decode("utf-8", "backslashreplace") for n in names}


def test_sidecar_that_a_mac_has_copied_keeps_its_image(tmp_path: Path) -> None:
    sidecar = export(tmp_path, "\u00e4.jpg")
    sidecar.rename(tmp_path / "a\u0308.jpg.json")
    (cell,), problems, _ = read(tmp_path)
    assert (cell.file, problems) == ("\u00e4.jpg", [])


def test_copied_or_renamed_sidecar_is_held(tmp_path: Path) -> None:
    sidecar = export(tmp_path, "a.jpg")
    for name in ("a.jpg (1).json", "b.jpg.json", "a.json"):
        shutil.copy(sidecar, tmp_path / name)
    cells, problems, _ = read(tmp_path)
    assert [cell.file for cell in cells] == ["a.jpg"]
    assert {problem.path.name for problem in problems} == {"a.jpg (1).json", "b.jpg.json", "a.json"}
    assert {problem.code for problem in problems} == {ProblemCode.OTHER_NAME}


def test_familiarity_is_read(tmp_path: Path) -> None:
    for name, passes in (("a", True), ("b", False)):
        reason = None if passes else "blurred"
        familiarity = {"score": 1.5, "limit": 1.4, "passes": passes, "reason": reason}
        written(tmp_path / f"{name}.jpg.json", familiarity=familiarity)
    written(tmp_path / "c.jpg.json", familiarity=None)
    cells = read(tmp_path)[0]
    assert [cell.is_familiar for cell in cells] == [True, False, None]
    assert [cell.unfamiliar for cell in cells] == [None, "blurred", None]


def test_drift_is_read_and_a_sidecar_of_an_earlier_version_has_none(tmp_path: Path) -> None:
    written(tmp_path / "a.jpg.json", drift={"since": "2026-11-23T09:14:03.000+01:00"})
    written(tmp_path / "b.jpg.json", drift=None)
    path = written(tmp_path / "c.jpg.json")
    fields = json.loads(path.read_bytes())
    del fields["drift"]
    path.write_bytes(to_json(fields))
    since = datetime(2026, 11, 23, 9, 14, 3, tzinfo=timezone(timedelta(hours=1)))
    assert [cell.drift_since for cell in read(tmp_path)[0]] == [since, None, None]


@pytest.mark.parametrize("drift", [{}, [], True, {"since": None}, {"since": "today"}])
def test_drift_of_another_form_is_a_problem(tmp_path: Path, drift: object) -> None:
    written(tmp_path / "a.jpg.json", drift=drift)
    cells, problems, _ = read(tmp_path)
    assert (cells, len(problems)) == ([], 1)


def test_drift_since_a_day_that_does_not_exist_is_a_problem(tmp_path: Path) -> None:
    written(tmp_path / "a.jpg.json", drift={"since": "2026-02-30T09:14:03+01:00"})
    _, (problem,), _ = read(tmp_path)
    assert "drift.since is a time that does not exist" in str(problem)


def test_entry_is_a_cell_or_a_problem_or_counted(tmp_path: Path) -> None:
    """Planted faults of every kind, in several folders."""
    faults = 0
    for folder in (tmp_path, tmp_path / "S1", tmp_path / "S1" / "2"):
        whole = export(folder, "whole.jpg").read_bytes()
        (folder / "torn.jpg.json").write_bytes(whole[:500])
        (folder / "empty.jpg.json").touch()
        (folder / "zero.jpg.json").write_bytes(bytes(4096))
        (folder / f"x~{'0' * 16}.json").write_bytes(b"{")
        (folder / "any.json").write_bytes(b'{"schema": "edge-sidecar/1", "status"')
        (folder / "nan.jpg.json").write_bytes(whole.replace(b"0.93,", b"NaN,"))
        with (folder / "large.jpg.json").open("wb") as file:
            file.truncate(LARGEST_BYTES + 1)
        written(folder / "second.jpg.json", schema="edge-sidecar/2")
        written(folder / "contradicts.jpg.json", status="rejected")
        written(folder / "time.jpg.json", created="2026-02-30T00:00:00+01:00")
        written(folder / "naive.jpg.json", created="2026-02-01T00:00:00")
        written(folder / "type.jpg.json", host=1)
        faults += 12
        (folder / "foreign.json").write_text('{"a": 1}')
        (folder / "torn-foreign.json").write_text('{"a": ')
        with (folder / "large-foreign.json").open("wb") as file:
            file.truncate(LARGEST_BYTES + 1)
        (folder / "foreign.jpg.json").write_text('{"a": 1}')
        (folder / ".hidden.jpg.json").write_bytes(whole)
        (folder / "edge-1-0a0b0c0d0e0f.tmp").write_bytes(whole)
        (folder / "Thumbs.db").write_bytes(b"")
        (folder / "link.jpg.json").symlink_to(folder / "whole.jpg.json")
        (folder / "above").symlink_to(tmp_path)
        os.mkfifo(folder / "pipe.jpg.json")
    (tmp_path / "@eaDir").mkdir()
    export(tmp_path / "@eaDir", "whole.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.json"))
        cells, problems, tally = read(tmp_path)
    assert [cell.image for cell in cells] == ["whole.jpg"] * 3
    assert len(problems) == len({problem.path for problem in problems}) == faults
    assert all(problem.line.isprintable() for problem in problems)
    assert tally.foreign == 12
    assert tally.hidden == 10
    assert tally.special == 10
    # A hidden folder counts as one; it has three files here.
    total = sum(getattr(tally, name) for name in Tally.__slots__)
    assert total == entries_below(tmp_path) - 3 + 1


def test_many_sidecars_are_all_read_in_order(tmp_path: Path) -> None:
    content = to_json(fields_of(outcome(b"x"), b"00000.jpg"))
    for folder in ("S0", "S1", "S2"):
        (tmp_path / folder).mkdir()
    for number in range(3000):
        path = tmp_path / f"S{number // 1000}" / f"{number:05}.jpg.json"
        path.write_bytes(content.replace(b"00000.jpg", b"%05d.jpg" % number))
    cells, problems, _ = read(tmp_path)
    assert [int(cell.sidecar.name[:5]) for cell in cells] == [*range(3000)]
    assert problems == []


def test_folder_that_became_a_link_meanwhile_is_a_problem(tmp_path: Path) -> None:
    export(tmp_path / "tree", "a.jpg")
    export(tmp_path / "tree", "b/b.jpg")
    export(tmp_path / "elsewhere", "c.jpg")
    problems: list[Problem] = []
    cells = read_sidecars(tmp_path / "tree", problems.append)
    assert next(cells).image == "a.jpg"
    shutil.rmtree(tmp_path / "tree" / "b")
    (tmp_path / "tree" / "b").symlink_to(tmp_path / "elsewhere")
    assert list(cells) == []
    assert [problem.code for problem in problems] == [ProblemCode.FOLDER]


def test_file_and_folder_that_are_deleted_meanwhile_are_counted(tmp_path: Path) -> None:
    # Files are read 200 at a time: the last one is listed, but not read with the first.
    for name in (*(f"{number:03}.jpg" for number in range(201)), "c/c.jpg"):
        export(tmp_path, name, formats=("json",))
    tally = Tally()
    problems: list[Problem] = []
    cells = read_sidecars(tmp_path, problems.append, tally=tally)
    next(cells)
    (tmp_path / "200.jpg.json").unlink()
    shutil.rmtree(tmp_path / "c")
    assert len(list(cells)) == 199
    assert (problems, tally.gone, tally.cells) == ([], 2, 200)


def test_path_may_be_a_link_to_the_folder(tmp_path: Path) -> None:
    export(tmp_path / "real", "a.jpg")
    (tmp_path / "link").symlink_to("real")
    assert [cell.image for cell in read(tmp_path / "link")[0]] == ["a.jpg"]


def test_missing_path_or_file_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent does not exist; give the watch folder"):
        read_sidecars(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file is no folder; give the watch folder"):
        read_sidecars(tmp_path / "file")


def test_problems_are_logged_unless_somebody_takes_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a\n.jpg.json").touch()
    with caplog.at_level(logging.WARNING):
        assert list(read_sidecars(tmp_path)) == []
    assert caplog.messages == [f"{tmp_path}/a\\n.jpg.json: empty"]
