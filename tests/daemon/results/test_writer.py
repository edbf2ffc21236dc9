"""Tests for daemon.results.writer: whose the names are, and what people do to folders meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.cli import main
from edge.files.temporary import is_temporary
from tests.daemon.results.beside import cause, state, warnings
from tests.support.images import Jpeg
from tests.support.machine import mounts
from tests.support.site import Site
from tests.support.waiting import until

TAKEN = "sidecar name: taken by a file of another program"


@pytest.fixture
def beside(site: Site) -> Site:
    """A site whose sidecars lie beside their images."""
    site.settings |= {"results": {}, "watch": [{"folder": "export"}], "rescan_s": 0.5}
    return site


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if is_temporary(path.name)]


def take(path: Path, kind: str) -> Callable[[], object]:
    """Put something under a sidecar's name; gives a look at it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        (path.parent / "linked").write_text("somebody's")
        path.symlink_to("linked")
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    else:
        path.write_bytes(CONTENTS[kind])
    return lambda: (os.lstat(path).st_ino, path.read_bytes() if path.is_file() else None)


CONTENTS = {
    "json": b'{"analyzer": "DM96", "cell_id": 4711}',
    "empty": b"",
    "list": b"[1, 2]",
    "deep": b"[" * 100_000,
    "binary": bytes(range(256)),
    "large": b'{"schema": "edge-sidecar/1", "x": "' + b"x" * 2**21 + b'"}',
    "another schema": b'{"schema": "edge-sidecars/1", "image": {"file": "a.jpg"}}',
}


@pytest.mark.parametrize("kind", [*CONTENTS, "folder", "pipe", "link", "dangling link"])
def test_run_name_of_a_sidecar_that_is_taken_is_left_alone_and_its_image_waits(
    beside: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    look = take(beside.export / "S1" / "a.jpg.json", kind)
    before = look()
    with beside.running():
        beside.add("S1/a.jpg", colour_jpeg("red"))
        beside.add("S1/b.jpg", colour_jpeg("green"))
        until(lambda: state(beside, "S1/b.jpg") == "done")
        until(lambda: cause(beside, "S1/a.jpg") == TAKEN)
        assert look() == before
        assert not (beside.export / "S1" / "a.jpg.csv").exists()
        assert len(warnings(caplog)) == 1
        assert "S1" not in caplog.text
        path = beside.export / "S1" / "a.jpg.json"
        path.rename(beside.export / "S1" / "moved")
        until(lambda: state(beside, "S1/a.jpg") == "done")
    assert json.loads(path.read_bytes())["label"] == "red"
    assert leftovers(beside.export / "S1") == []


def test_run_csv_of_another_program_is_left_alone(beside: Site, colour_jpeg: Jpeg) -> None:
    (beside.export / "a.jpg.csv").write_text("cell;class\n4711;NEU\n")
    with beside.running():
        beside.add("a.jpg", colour_jpeg("red"))
        until(lambda: cause(beside, "a.jpg") == TAKEN)
    assert (beside.export / "a.jpg.csv").read_text() == "cell;class\n4711;NEU\n"
    assert not (beside.export / "a.jpg.json").exists()


@pytest.mark.parametrize(
    "name", ["a.jpg", "=cmd.jpg", "x" * 251 + ".jpg", os.fsdecode(b"\xe9.jpg")]
)
def test_run_own_sidecar_is_replaced_by_the_image_s_next_version(
    beside: Site, colour_jpeg: Jpeg, name: str
) -> None:
    with beside.running():
        for colour, age_s in (("red", 90.0), ("green", 60.0)):
            beside.add(name, colour_jpeg(colour), age_s=age_s)
            until(lambda c=colour: beside.outcomes().get(name, ("",) * 3)[2] == c)  # type: ignore[misc]
    (sidecar,) = beside.export.glob("*.json")
    assert json.loads(sidecar.read_bytes())["label"] == "green"


def test_once_leaves_an_image_whose_name_is_taken_to_the_next_run_and_ends_with_6(
    beside: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    (beside.export / "a.jpg.json").write_bytes(CONTENTS["json"])
    for name in ("a.jpg", "b.jpg"):
        beside.add(name, colour_jpeg("red"))
    words = ["once", "--config", str(beside.config_path)]
    assert main(words) == 6
    assert "error: 1 image without sidecars: their names" in capsys.readouterr().err
    assert (beside.export / "a.jpg.json").read_bytes() == CONTENTS["json"]
    assert (beside.export / "b.jpg.json").exists()
    assert main(["status", *words[1:]]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"1 held up: {TAKEN}" in shown
    assert "move those files, or set results.folder" in shown
    (beside.export / "a.jpg.json").unlink()
    assert main(words) == 0
    assert json.loads((beside.export / "a.jpg.json").read_bytes())["label"] == "red"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("S1/a:b.jpg", {"op": "getattr", "error": "EINVAL", "path": "*:*.json"}),
        # Windows servers and exFAT find no such name.
        ("S1/a:b.jpg", {"op": "rename_to", "error": "ENOENT", "path": "*:*"}),
        ("S1:2/a.jpg", {"op": "mkdir", "error": "ENOENT", "path": "*:*"}),
    ],
)
def test_run_name_that_the_share_refuses_holds_up_its_own_image_and_no_other(
    site: Site,
    colour_jpeg: Jpeg,
    caplog: pytest.LogCaptureFixture,
    name: str,
    fault: dict[str, str],
) -> None:
    site.settings["watch"] = [{"folder": "export"}]
    with mounts.faultfs(site.results) as disk, site.running():
        disk.fail(fault)
        site.add(name, colour_jpeg("red"))
        site.add("S1/c.jpg", colour_jpeg("green"))
        until(lambda: state(site, "S1/c.jpg") == "done")
        until(lambda: cause(site, name) == "sidecar name: refused there (Invalid argument)")
        assert len(warnings(caplog)) == 1
        disk.fail()
        until(lambda: state(site, name) == "done")
    assert "cannot be written" not in caplog.text


class Folder:
    """A slide's folder, and what people do with it while its sidecars are being written."""

    def __init__(self, site: Site) -> None:
        self.path, self.other = site.export / "S1", site.export / "S1_done"
        self.backup = site.folder / "backup"

    def renamed(self) -> None:
        self.path.rename(self.other)

    def moved_out(self) -> None:
        self.path.rename(self.backup)

    def deleted(self) -> None:
        shutil.rmtree(self.path)


@pytest.mark.parametrize("step", ["file.created", "file.before_rename", "file.after_rename"])
@pytest.mark.parametrize("action", ["renamed", "moved_out", "deleted"])
def test_run_folder_that_people_take_away_meanwhile_is_no_trouble(
    beside: Site,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    action: str,
    step: str,
) -> None:
    folder = Folder(beside)
    acted: list[str] = []

    def act(name: str) -> None:
        is_worker = threading.current_thread().name.startswith("worker")
        if name == step and is_worker and not acted:
            acted.append(name)
            getattr(folder, action)()

    for number in range(3):
        beside.add(f"S1/{number}.jpg", colour_jpeg("red"))
    with monkeypatch.context() as patch, beside.running():
        until(lambda: all(state(beside, f"S1/{number}.jpg") == "done" for number in range(3)))
        patch.setattr("edge.files.atomic.failpoint", act)
        beside.add("S1/3.jpg", colour_jpeg("red"))
        until(lambda: bool(acted))
        beside.add("S2/other.jpg", colour_jpeg("green"))
        until(lambda: state(beside, "S2/other.jpg") == "done")
        until(lambda: all(row[0] in {"done", "gone"} for row in beside.outcomes().values()))
        if action == "renamed":
            names = [f"S1_done/{number}.jpg" for number in range(4)]
            until(lambda: all(state(beside, name) == "done" for name in names))
    assert acted == [step]
    assert warnings(caplog) == []
    assert not folder.path.exists()
    assert leftovers(beside.folder) == []
    for image in folder.other.glob("*.jpg"):
        assert json.loads(image.with_name(f"{image.name}.json").read_bytes())["label"] == "red"


# A share that refuses hidden names has them without the dot.
@pytest.mark.parametrize("dot", [".", ""])
def test_run_removes_what_a_killed_process_left_in_a_folder_that_was_renamed_since(
    beside: Site, colour_jpeg: Jpeg, dot: str
) -> None:
    beside.add("S1_done/a.jpg", colour_jpeg("red"))
    dead = f"{dot}edge-{2**22 + 1}-0123456789ab.tmp"
    alive = f"{dot}edge-{os.getpid()}-0123456789ab.tmp"
    others = [".edge-notes.tmp", "edge.tmp", ".hidden", alive]
    for name in (dead, *others):
        path = beside.export / "S1_done" / name
        path.touch()
        os.utime(path, (time.time() - 60.0,) * 2)
    with beside.running():
        until(lambda: not (beside.export / "S1_done" / dead).exists())
        until(lambda: state(beside, "S1_done/a.jpg") == "done")
    assert all((beside.export / "S1_done" / name).exists() for name in others)


def test_once_killed_in_a_folder_that_is_renamed_before_the_next_leaves_nothing(
    beside: Site, colour_jpeg: Jpeg
) -> None:
    for number in range(3):
        beside.add(f"S1/{number}.jpg", colour_jpeg("red"))
    process = beside.start("once", EDGE_FAILPOINTS="file.before_rename=kill@3")
    process.communicate(timeout=60)
    assert leftovers(beside.export / "S1") != []
    (beside.export / "S1").rename(beside.export / "S1_done")
    assert main(["once", "--config", str(beside.config_path)]) == 0
    assert leftovers(beside.export / "S1_done") == []
    assert len(list((beside.export / "S1_done").glob("*.json"))) == 3
    assert not (beside.export / "S1").exists()
