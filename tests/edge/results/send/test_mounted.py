"""Tests for folders whose share is away, also after a restart: with real mounts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edge.errors import StorageError
from edge.results.cli import main
from edge.results.issued.issued import Issued
from edge.results.send.issuing import Issuing
from edge.results.send.mounted import NAME
from edge.results.settings.slide_config import SlideConfig
from edge.results.slides.completeness import Completeness
from tests.support.machine.mounts import tmpfs
from tests.support.sidecar_tree import export

MANIFEST = "path,sample_id,cells\n.,S000125,9\n"


def issue(tmp_path: Path) -> int:
    """What a new process, or one that reads its configuration again, has issued."""
    completeness = Completeness(quiet_s=0)
    config = SlideConfig(tmp_path / "results", tmp_path / "export", completeness=completeness)
    with Issued.open(tmp_path / "state") as issued:
        Issuing(config, issued, list[str]().append).issue()
        return issued.newest()


def put_slide(tmp_path: Path) -> None:
    export(tmp_path / "export", "run/1.jpg", results=tmp_path / "results", sample_id="run")
    (tmp_path / "export" / "manifest.csv").write_text(MANIFEST)


def test_share_that_is_away_at_the_start_issues_nothing_until_it_is_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    share = tmp_path / "export"
    settings = {
        "state_dir": "state",
        "sidecars": {"folder": "results", "images": "export"},
        "slides": {"quiet_s": 0},
        "targets": [{"name": "lis", "format": "json", "drop": "lis"}],
    }
    (tmp_path / "results.yaml").write_text(json.dumps(settings))
    with tmpfs(share, "size=256k"):
        put_slide(tmp_path)
        assert issue(tmp_path) == 0
    # A forgotten file on the bare mount point: it is not empty.
    (share / "old.txt").write_text("")
    away = f"{share} was on tmpfs mounted at {share} and is now on "
    with pytest.raises(StorageError) as refused:
        issue(tmp_path)
    assert str(refused.value).startswith(away)
    before = (tmp_path / "state" / NAME).read_bytes()
    assert main(["show", "--config", str(tmp_path / "results.yaml")]) == 6
    assert away in capsys.readouterr().err
    assert (tmp_path / "state" / NAME).read_bytes() == before
    with tmpfs(share, "size=256k"):
        put_slide(tmp_path)
        assert issue(tmp_path) == 0
    (tmp_path / "state" / NAME).unlink()
    assert issue(tmp_path) == 1


def test_folder_made_anew_and_empty_at_the_start_issues_nothing_until_files_come(
    tmp_path: Path,
) -> None:
    (tmp_path / "export").mkdir()
    put_slide(tmp_path)
    assert issue(tmp_path) == 0
    (tmp_path / "export").rename(tmp_path / "away")
    (tmp_path / "export").mkdir()
    for _ in range(2):
        with pytest.raises(StorageError, match="empty and not the folder that had files before"):
            issue(tmp_path)
    (tmp_path / "export" / "manifest.csv").write_text(MANIFEST.replace("9", "1"))
    assert issue(tmp_path) == 1


def test_folder_that_was_emptied_is_no_share_that_is_away(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    put_slide(tmp_path)
    assert issue(tmp_path) == 0
    shutil.rmtree(tmp_path / "export" / "run")
    (tmp_path / "export" / "manifest.csv").unlink()
    assert issue(tmp_path) == 1


def test_damaged_memory_of_mounts_issues_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    put_slide(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / NAME).write_text('{"schema": "edge-mounts/1"')
    with pytest.raises(StorageError, match=r"mounts\.json cannot be used .*, then remove it"):
        issue(tmp_path)


def test_share_that_goes_away_during_a_look_issues_nothing_of_it(tmp_path: Path) -> None:
    share = tmp_path / "export"
    share.mkdir()
    put_slide(tmp_path)

    def go_away() -> None:
        if not (tmp_path / "away").exists():
            share.rename(tmp_path / "away")
            share.mkdir()

    config = SlideConfig(tmp_path / "results", share, completeness=Completeness(quiet_s=0))
    with Issued.open(tmp_path / "state") as issued:
        issuing = Issuing(config, issued, list[str]().append, beat=go_away)
        with pytest.raises(StorageError, match="its share is away"):
            issuing.issue()
        assert issued.newest() == 0
