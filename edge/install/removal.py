"""The steps by which `uninstall` stops a unit and removes what `install` wrote."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

from edge.install.records import digest, other_records, read_record
from edge.install.steps import CommandStep, KeepStep, RemoveStep, Step, System
from edge.install.systemd import has_systemd


class Installation(System, Protocol):
    """A unit with what was installed for it."""

    @property
    def unit(self) -> str:
        """The unit's name for `systemctl`."""

    @property
    def root(self) -> Path:
        """The system's root folder."""

    @property
    def is_image(self) -> bool:
        """Whether the system is not the running one."""

    @property
    def record(self) -> Path:
        """The list of the files that `install` wrote."""

    @property
    def drop_ins(self) -> Path:
        """The folder of the unit's drop-ins."""


def removal_steps(place: Installation) -> Iterator[Step]:
    """Stop the unit and remove its files, but for those that others need or a person changed."""
    is_here = has_systemd() and not place.is_image
    if is_here:
        yield CommandStep(("systemctl", "disable", "--now", place.unit), may_fail=True)
    elif place.is_image:
        argv = ("systemctl", f"--root={place.root}", "disable", place.unit)
        yield CommandStep(argv, may_fail=True)
    yield from _file_steps(place)
    if is_here:
        yield CommandStep(("systemctl", "daemon-reload"))
        yield CommandStep(("systemctl", "reset-failed", place.unit), may_fail=True)


def folder_steps(system: System, folder: Path, leaving: Collection[Path]) -> Iterator[Step]:
    """Remove a folder if it will be empty; otherwise name what else is in it.

    Args:
        leaving: what is removed from the folder before.
    """
    if not system.at(folder).is_dir():
        return
    present = {folder / path.name for path in system.at(folder).iterdir()}
    others = sorted(present.difference(leaving))
    for path in others:
        yield KeepStep(path, "not written by install, or changed since; remove it by hand")
    if not others:
        yield RemoveStep(folder)


def _file_steps(place: Installation) -> Iterator[Step]:
    record = read_record(place.at(place.record))
    written = {Path(path): recorded for path, recorded in record.items()}
    shared = {path for files in other_records(place.root, place.record).values() for path in files}
    kept = set()
    for path, recorded in written.items():
        text = place.text_of(path)
        if str(path) in shared:
            yield KeepStep(path, "another installation of this machine needs it")
        elif text is not None and digest(text) != recorded:
            kept.add(path)
            yield KeepStep(path, "changed since it was installed; remove it by hand")
        elif text is not None:
            yield RemoveStep(path)
    yield RemoveStep(place.record)
    yield from folder_steps(place, place.drop_ins, leaving=set(written) - kept)
