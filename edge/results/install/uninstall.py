"""`edge-results uninstall`: removes the files that `install` wrote.

Issued results, the outbox, the configuration and every folder stay: what was sent must be known
when the service is installed again. Files that were changed since are named and stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge.errors import ConfigError
from edge.install.records import digest, other_records, read_record
from edge.install.steps import CommandStep, KeepStep, RemoveStep, Step
from edge.install.systemd import has_systemd
from edge.results.install.place import Place
from edge.results.install.site import name_problems


def plan(place: Place) -> list[Step]:
    """All files to remove and commands to run, in order.

    Raises:
        ConfigError: nothing is installed there, or the names are wrong.
    """
    problems = list(name_problems(place))
    if not problems and not place.at(place.record).exists():
        problems = [f"{place.unit} is not installed here."]
    if problems:
        raise ConfigError("\n".join(problems))
    is_here = has_systemd() and not place.is_image
    steps: list[Step] = []
    if is_here:
        steps.append(CommandStep(("systemctl", "disable", "--now", place.unit), may_fail=True))
    elif place.is_image:
        argv = ("systemctl", f"--root={place.root}", "disable", place.unit)
        steps.append(CommandStep(argv, may_fail=True))
    steps += _file_steps(place)
    if is_here:
        steps.append(CommandStep(("systemctl", "daemon-reload")))
        steps.append(CommandStep(("systemctl", "reset-failed", place.unit), may_fail=True))
    kept = [path for path in (place.config, place.state_dir) if place.at(path).exists()]
    return [*steps, *(KeepStep(path, "yours; remove it by hand") for path in kept)]


def _file_steps(place: Place) -> Iterator[Step]:
    written = read_record(place.at(place.record))
    shared = {path for files in other_records(place.root, place.record).values() for path in files}
    removed = set()
    for name, recorded in written.items():
        path = Path(name)
        text = place.text_of(path)
        if name in shared:
            yield KeepStep(path, "another installation of this machine needs it")
        elif text is not None and digest(text) != recorded:
            yield KeepStep(path, "changed since it was installed; remove it by hand")
        elif text is not None:
            removed.add(path.name)
            yield RemoveStep(path)
    yield RemoveStep(place.record)
    folder = place.at(place.drop_ins)
    if folder.is_dir():
        others = sorted(path.name for path in folder.iterdir() if path.name not in removed)
        for other in others:
            reason = "not written by install, or changed since; remove it by hand"
            yield KeepStep(place.drop_ins / other, reason)
        if not others:
            yield RemoveStep(place.drop_ins)
