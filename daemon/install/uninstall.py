"""`edge-daemon uninstall`: removes the files that `install` wrote.

Results, exports, bundles and images are never touched. Files that were changed since, and drop-ins
made by hand, are named and stay.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from daemon.config.config import Config, load_config
from daemon.install.install import add_common_arguments
from daemon.install.place import Place, places
from daemon.install.site import STATE_FOLDERS, name_problems
from daemon.supervision.running_daemon import read_running
from daemon.system.locks import InUseError
from edge.errors import ConfigError
from edge.install.records import ETC, other_records
from edge.install.removal import folder_steps, removal_steps
from edge.install.steps import KeepStep, RemoveStep, Step
from edge.install.systemd import has_systemd, systemctl
from edge.system.mounts import mounts_below


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--instance", metavar="NAME", help="uninstall edge-daemon@NAME")
    text = "remove the configuration and the state (journal, log key) too; never results"
    parser.add_argument("--purge", action="store_true", help=text)
    add_common_arguments(parser)


def place_of(arguments: Namespace) -> Place:
    """The daemon to remove.

    Raises:
        ConfigError: nothing is installed there, or the names are wrong.
    """
    place = Place(arguments.instance, arguments.root.absolute())
    problems = list(name_problems(place))
    if not problems:
        problems = list(_absence(place, is_purge=arguments.purge))
    if problems:
        raise ConfigError("\n".join(problems))
    return place


def plan(place: Place, *, is_purge: bool) -> list[Step]:
    """All files to remove and commands to run, in order.

    Raises:
        ConfigError: the configuration is wrong, so that its folders are unknown.
        InUseError: the state would be removed while a daemon other than the unit's uses it.
    """
    state = list(_purge_steps(place)) if is_purge else _kept_state(place)
    return [*removal_steps(place), *state]


def closing_lines() -> Iterator[str]:
    """Lines about what always stays."""
    yield "results, exports, bundles and the program stay as they are"
    # As with Debian's packages: a later user could get the same number, and own the files.
    yield "the user edge stays, because files may belong to it; `userdel edge` removes it"


def _absence(place: Place, *, is_purge: bool) -> Iterator[str]:
    if place.at(place.record).exists():
        return
    if place.at(place.tmpfiles).exists():
        yield (
            f"{place.unit} was installed by an older version without a record of its files. Run "
            f"`edge-daemon install{place.option}` once more, then uninstall."
        )
    elif not is_purge or not _kept_state(place):
        others = ", ".join(other.unit for other in places(place.root) if other != place)
        found = f" Installed here: {others}." if others else ""
        yield f"{place.unit} is not installed here.{found}"


def _kept_state(place: Place) -> list[Step]:
    paths = [path for path in (place.config, place.state_dir) if place.at(path).exists()]
    return [KeepStep(path, "yours; --purge removes it") for path in paths]


def _purge_steps(place: Place) -> Iterator[Step]:
    config = None
    if place.at(place.config).exists():
        config = load_config(place.at(place.config), base=ETC)
        _refuse_running_daemon(place, config)
        yield RemoveStep(place.config)
    yield from _state_steps(place, _kept_folders(config))
    if config and not config.state_dir.is_relative_to(place.state_dir):
        yield KeepStep(config.state_dir, "state_dir of the configuration; remove it by hand")
    is_last = all(other == place for other in places(place.root))
    if is_last and not other_records(place.root, place.record):
        yield from folder_steps(place, ETC, leaving={place.config, place.record})


def _kept_folders(config: Config | None) -> list[Path]:
    """The configured folders, which are never removed."""
    return config.folders if config else []


def _state_steps(place: Place, kept: list[Path]) -> Iterator[Step]:
    """Remove what is in the state folder, except other daemons' folders and mounts below it."""
    root = place.at(place.state_dir)
    if not root.is_dir():
        return
    if root in map(place.at, kept):
        yield KeepStep(place.state_dir, "the configuration also names it for other files")
        return
    is_empty = True
    kept = [*map(place.at, kept), *mounts_below(root)]
    for path in sorted(root.iterdir()):
        shown = place.state_dir / path.name
        # The folders of instances are below that of the daemon without instance.
        is_others = path.is_dir() and place.instance is None and path.name not in STATE_FOLDERS
        if is_others or any(other.is_relative_to(path) for other in kept):
            is_empty = False
            yield KeepStep(shown, "not only this daemon's state; remove it by hand")
        else:
            yield RemoveStep(shown, is_tree=path.is_dir() and not path.is_symlink())
    if is_empty:
        yield RemoveStep(place.state_dir)


def _refuse_running_daemon(place: Place, config: Config) -> None:
    pid = None if place.is_image else read_running(config.state_dir).pid
    if pid is not None and pid != _main_pid(place):
        raise InUseError(f"process {pid} uses {config.state_dir}. Stop it, then uninstall.")


def _main_pid(place: Place) -> int | None:
    if not has_systemd():
        return None
    text = systemctl("show", place.unit, "--value", "-p", "MainPID").stdout.strip()
    return int(text) if text.isdigit() else None
