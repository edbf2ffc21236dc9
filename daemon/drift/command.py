"""`edge-daemon drift`: shows the last weeks of each watch folder, and acknowledges alarms."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from daemon.config.config import Config
from daemon.drift.bins import Period, period_of
from daemon.drift.picture import html_of, svg_of
from daemon.drift.table import lines_of
from daemon.journal.file import require_journal
from daemon.journal.journal import open_journal
from daemon.journal.streams import KEPT_WEEKS, StreamHistory, read_histories
from edge.command.new_file import add_overwrite, require_free
from edge.command.values import given_path, whole_number
from edge.errors import ConfigError, EdgeError
from edge.files.atomic import write_file
from edge.files.safe_open import read_bounded
from edge.files.strict_json import parse_json
from edge.manifest import MANIFEST_NAME, MAX_JSON_BYTES

_WEEKS: Final = 4
_SUFFIXES: Final = (".svg", ".html")
# The role of the bundle's file that familiarity is judged by.
_REFERENCE: Final = "reference"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command, but for those that name the configuration."""
    text = f"how many weeks (default {_WEEKS}, at most {KEPT_WEEKS})"
    weeks = whole_number(1, KEPT_WEEKS)
    parser.add_argument("--weeks", type=weeks, default=_WEEKS, metavar="N", help=text)
    text = "this watch folder alone (default: all of them)"
    parser.add_argument("--folder", type=given_path, metavar="FOLDER", help=text)
    text = "write the weeks as a picture: FILE.svg or FILE.html"
    parser.add_argument("--out", type=given_path, metavar="FILE", help=text)
    add_overwrite(parser)
    text = "end alarms whose cause is gone or known; images that still differ raise another"
    parser.add_argument("--acknowledge", action="store_true", help=text)


def drift(config: Config, arguments: argparse.Namespace) -> list[str]:
    """Do what the options ask; returns lines for people.

    Raises:
        ConfigError: the folder is not watched, or the file cannot be the picture's.
        StorageError: there is no journal, it cannot be read or written, or the disk refuses.
    """
    folders = _folders(config, arguments.folder)
    if arguments.out is not None:
        if arguments.out.suffix not in _SUFFIXES:
            raise ConfigError(f"--out {arguments.out}: give a name that ends in .svg or .html.")
        require_free(arguments.out, overwrite=arguments.overwrite)
    period = period_of(arguments.weeks, datetime.now(UTC).astimezone())
    said = _acknowledge(config, folders, period) if arguments.acknowledge else []
    histories = read_histories(config.state_dir, folders, period.begin.timestamp())
    said += lines_of(histories, period)
    is_first = all(history.stream is None for history in histories)
    said += _why_nothing(config.bundle, is_first=is_first)
    if arguments.out is not None:
        _write(arguments.out, histories, period)
        said.append(f"written: {arguments.out}")
    return said


def _folders(config: Config, wanted: Path | None) -> list[Path]:
    folders = [watch.folder for watch in config.watch]
    if wanted is None:
        return folders
    found = [folder for folder in folders if folder == wanted.absolute()]
    if not found:
        names = ", ".join(map(str, folders))
        raise ConfigError(f"--folder {wanted} is not watched; watched are: {names}.")
    return found


def _acknowledge(config: Config, folders: Sequence[Path], period: Period) -> list[str]:
    """End the alarms of these folders; a running daemon notices it within seconds."""
    require_journal(config.state_dir)
    histories = read_histories(config.state_dir, folders, period.begin.timestamp())
    ended = []
    # Not upgraded, as a daemon of an earlier version may be using it.
    with closing(open_journal(config.state_dir, may_upgrade=False)) as journal:
        for history in histories:
            state = history.stream.drift if history.stream else None
            if state is not None and state.is_alarm:
                journal.begin_stream_anew(journal.serve(history.folder))
                ended.append(f"acknowledged, and watched anew: {history.folder}")
    return [*(ended or ["there is no alarm to acknowledge"]), ""]


def _why_nothing(bundle: Path, *, is_first: bool) -> list[str]:
    """Why no cell is judged, or none has been yet, where that is so."""
    if _has_reference(bundle) is False:
        text = f"the bundle {bundle} has no reference of its laboratory, so that no image is judged"
        return [f"{text}. Convert it again with this version of edge-convert."]
    if is_first:
        text = "cells are judged as they are labelled"
        return [f"{text}; none has been since this version was installed."]
    return []


def _has_reference(bundle: Path) -> bool | None:
    """Whether a bundle names a reference; None if its manifest cannot be read."""
    with suppress(OSError, ValueError, EdgeError, KeyError, TypeError, AttributeError):
        manifest = parse_json(read_bounded(bundle / MANIFEST_NAME, MAX_JSON_BYTES))
        return any(file.get("role") == _REFERENCE for file in manifest["artefacts"])
    return None


def _write(target: Path, histories: Sequence[StreamHistory], period: Period) -> None:
    svg = svg_of(histories, period)
    write_file(target, svg if target.suffix == ".svg" else html_of(svg))
