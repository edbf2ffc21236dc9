"""Watch folders with images that are passed over."""

from __future__ import annotations

from pathlib import Path

from daemon.image.watch_folder import WatchFolder, names_regex


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def root(folder: Path, *exclude: str) -> WatchFolder:
    regex = names_regex(exclude) if exclude else None
    return WatchFolder(1, folder, folder, names_regex(("*.jpg",)), None, regex)
