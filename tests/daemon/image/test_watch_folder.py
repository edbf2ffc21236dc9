from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.image.watch_folder import WatchFolder, names_regex
from edge.sidecar import Origin
from edge.text.path_template import PathTemplate


@pytest.mark.parametrize(
    ("path", "file", "folder"),
    [
        (b"0007.jpg", "0007.jpg", "."),
        (b"S1/2/0007.jpg", "0007.jpg", "S1/2"),
        ("Prüfung/ä.jpg".encode(), "ä.jpg", "Prüfung"),
        (b"caf\xe9/n\xff.jpg", r"n\xff.jpg", r"caf\xe9"),
    ],
)
def test_origin_of_an_image_names_its_folder_below_the_watch_folder(
    path: bytes, file: str, folder: str, tmp_path: Path
) -> None:
    watch_folder = WatchFolder(1, tmp_path / "export", tmp_path, names_regex(("*.jpg",)))
    assert watch_folder.origin(path) == Origin(file, None, None, folder)
    assert os.fsdecode(path) == str(watch_folder.image(path).relative_to(watch_folder.path))


def test_origin_with_a_template_has_ids_and_folder(tmp_path: Path) -> None:
    template = PathTemplate.parse("{sample_id}/{slide_id}/*")
    watch_folder = WatchFolder(1, tmp_path, tmp_path, names_regex(("*.jpg",)), template)
    assert watch_folder.origin(b"S1/2/a.jpg") == Origin("a.jpg", "S1", "2", "S1/2")
