"""Tests for daemon.results.destination: a share that is away takes no results."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from daemon.results.destination import Destination
from edge.errors import StorageError


def test_place_folder_that_is_not_there_at_the_start_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        StorageError, match=f"is not there. Mount it, or make it: mkdir -p {tmp_path}"
    ):
        Destination(tmp_path / "results")
    (tmp_path / "results").touch()
    with pytest.raises(StorageError, match="is not a folder"):
        Destination(tmp_path / "results")


def test_place_folder_that_is_made_anew_is_welcome(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    place = Destination(results)
    place.require([results / "S1"])
    results.rename(tmp_path / "aside")
    with pytest.raises(StorageError, match="is away"):
        place.require([results / "S1"])
    results.mkdir()
    place.require([results / "S1"])


def test_place_whose_handle_goes_stale_after_it_was_opened_is_away_and_leaks_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(_descriptor: int) -> os.stat_result:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    place = Destination(tmp_path)
    before = sorted(Path("/proc/self/fd").iterdir())
    with monkeypatch.context() as patch:
        patch.setattr("daemon.results.destination.os.fstat", stale)
        with pytest.raises(StorageError, match="is away"):
            place.require([tmp_path])
    assert sorted(Path("/proc/self/fd").iterdir()) == before
    place.require([tmp_path])


def test_place_bare_mount_point_is_away_until_the_share_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, bare = tmp_path / "results", tmp_path / "bare"
    results.mkdir()
    bare.mkdir()
    point = str(results)
    monkeypatch.setattr("edge.system.mounts.mount_point", lambda _folder: point)
    place = Destination(results)
    results.rename(tmp_path / "share")
    bare.rename(results)
    point = "/"
    for _ in range(2):
        with pytest.raises(StorageError, match="is away"):
            place.require([results])
    # Mounted again, with another device number than before.
    point = str(results)
    place.require([results])


def test_place_share_that_is_unmounted_is_away(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "none", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount")
    try:
        place = Destination(tmp_path)
        place.require([tmp_path])
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    with pytest.raises(StorageError, match="is away"):
        place.require([tmp_path])
    subprocess.run(mount, check=True)
    try:
        place.require([tmp_path])
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_place_beside_the_images_makes_no_folder_anew(tmp_path: Path) -> None:
    place = Destination(None, [tmp_path])
    place.open(tmp_path).close()
    with pytest.raises(StorageError) as raised:
        place.open(tmp_path / "S1")
    assert isinstance(raised.value.__cause__, FileNotFoundError)
    assert list(tmp_path.iterdir()) == []


def test_place_beside_the_images_that_is_away_is_called_the_watch_folder(tmp_path: Path) -> None:
    place = Destination(None, [tmp_path / "export"])
    with pytest.raises(StorageError, match="the watch folder is away"):
        place.open(tmp_path / "export" / "S1")


def test_place_in_a_results_folder_makes_the_folders_below(tmp_path: Path) -> None:
    place = Destination(tmp_path)
    with place.open(tmp_path / "S1" / "L1") as opened:
        assert opened.is_still_at(tmp_path / "S1" / "L1")


def test_place_that_was_configured_as_a_link_is_used(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "results").symlink_to("disk")
    place = Destination(tmp_path / "results")
    place.open(tmp_path / "results" / "S1").close()
    assert (tmp_path / "disk" / "S1").is_dir()


@pytest.mark.parametrize("swapped", ["results", "lab"])
def test_place_that_was_swapped_for_a_link_gets_nothing(tmp_path: Path, swapped: str) -> None:
    results, other = tmp_path / "lab" / "results", tmp_path / "other" / "results"
    results.mkdir(parents=True)
    other.mkdir(parents=True)
    place = Destination(results)
    path = {"results": results, "lab": results.parent}[swapped]
    path.rename(tmp_path / "aside")
    path.symlink_to(other if swapped == "results" else other.parent)
    with pytest.raises(StorageError, match="is a link to another place now"):
        place.open(results / "S1")
    assert list(other.iterdir()) == []


def test_place_with_a_link_below_gets_nothing_through_it(tmp_path: Path) -> None:
    results, other = tmp_path / "results", tmp_path / "other"
    results.mkdir()
    other.mkdir()
    (results / "S1").symlink_to(other)
    for folder in (results / "S1", results / "S1" / "L1"):
        with pytest.raises(StorageError, match="Not a directory"):
            Destination(results).open(folder)
    assert list(other.iterdir()) == []
