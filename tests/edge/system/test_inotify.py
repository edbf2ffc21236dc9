from __future__ import annotations

from pathlib import Path

import pytest

from edge.system.inotify import FolderEvents


def test_folder_events_tell_files_that_are_created_or_renamed_into_the_folder(
    tmp_path: Path,
) -> None:
    folder, outside = tmp_path / "watched", tmp_path / "outside.json"
    folder.mkdir()
    outside.touch()
    events = FolderEvents(folder)
    try:
        (folder / "größe.jpg").touch()
        outside.rename(folder / "in.json")
        (folder / "in.json").unlink()
        found: list[str] = []
        while len(found) < 2:
            found += events.read()
    finally:
        events.close()
    assert found == ["größe.jpg", "in.json"]


def test_folder_events_of_a_folder_that_is_not_there_fail(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FolderEvents(tmp_path / "absent")
