"""`edge-results audit`: checks the record of reviews, and shows what people made of the labels."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Final

from edge.command.progress import Progress
from edge.command.values import given_path
from edge.errors import ConfigError, StorageError
from edge.results.commands.command import Command, Show
from edge.results.commands.reading import add_path, cells_in, is_there
from edge.results.commands.review.audit_text import Findings, audit_json, audit_lines
from edge.results.formats.shipped.table import FORMATS
from edge.results.review.audit.agreement import agreement_of
from edge.results.review.audit.export import Choice, Exported, export, require_new, wanted_cells
from edge.results.review.audit.period import Period
from edge.results.review.audit.readers import readers_of
from edge.results.review.images.image_files import ImageFiles
from edge.results.review.record.anchor import Anchor
from edge.results.review.record.chain import Chain
from edge.results.review.record.database import NAME
from edge.results.review.record.entry import Action
from edge.results.review.record.record import Record
from edge.results.review.view.looks import Look
from edge.results.send.config import load_send_config
from edge.results.settings.slide_config import VERIFICATIONS, SlideConfig

# More are counted; where every entry is wrong, the first ones say why.
MOST_PROBLEMS: Final = 1000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where things are; `slides` is None where no image can be found."""

    state: Path
    verifications: Path | None
    slides: SlideConfig | None


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_path(parser, optional=True)
    text = "the configuration of edge-results send and review"
    parser.add_argument("--config", type=given_path, metavar="FILE", help=text)
    text = "the state_dir with the record, in place of --config"
    parser.add_argument("--state", type=given_path, metavar="DIR", help=text)
    text = f"folder of the verifications; {VERIFICATIONS} in the folder of --state by default"
    parser.add_argument("--verifications", type=given_path, metavar="DIR", help=text)
    text = "the watch folder, if PATH is a results folder of its own; for --export"
    parser.add_argument("--images", type=given_path, metavar="DIR", help=text)
    for name, which in (("--since", "first"), ("--until", "last")):
        text = f"{which} day of the signatures that count, such as 2026-11-23"
        parser.add_argument(name, type=_day, metavar="DATE", help=text)
    text = "number and hash that an earlier audit, the page or its print showed; may be repeated"
    parser.add_argument(
        "--anchor", type=_anchor, action="append", default=[], metavar="NUMBER:HASH", help=text
    )
    parser.add_argument("--json", action="store_true", help="all of it as JSON")
    text = "write the images of corrected cells into a new folder, by class, for edge-convert"
    parser.add_argument("--export", type=given_path, metavar="DIR", help=text)
    text = "export every signed cell, not the corrected ones alone"
    parser.add_argument("--all", action="store_true", help=text)
    text = "export cells signed as artefact or other, too; edge-convert refuses their folders"
    parser.add_argument("--all-labels", action="store_true", help=text)


def _run(arguments: argparse.Namespace, show: Show) -> int:
    place = _place(arguments)
    period = Period(arguments.since, arguments.until)
    if arguments.export is not None:
        require_new(arguments.export)
    if not is_there(place.state / NAME):
        return _nothing(arguments, place.state, show)
    with Record.open(place.state) as record:
        found = _findings(record, place, arguments.anchor, period)
        if arguments.export is not None and not found.problems:
            found.exported = _export(record, place, period, arguments)
    if arguments.json:
        show(json.dumps(audit_json(found), ensure_ascii=False, indent=1))
    else:
        show("\n".join(audit_lines(found)))
    if found.problems and arguments.export is not None:
        text = "nothing is exported while the record is not as it was recorded."
        raise StorageError(f"{text} Restore it from a backup.")
    return StorageError.exit_code if found.problems else 0


def _nothing(arguments: argparse.Namespace, state: Path, show: Show) -> int:
    if arguments.anchor:
        raise StorageError(f"{state} has no record, but an anchor of one is given; it is missing.")
    if arguments.json:
        show(json.dumps({"schema": "edge-audit/1", "entries": 0, "problems": []}))
    else:
        show(f"nothing was reviewed yet: {state} has no record")
    return 0


def _findings(record: Record, place: _Place, anchors: list[Anchor], period: Period) -> Findings:
    found = Findings(anchors=anchors)
    with Progress("entries checked", sys.stderr) as progress:
        problems = _problems(record, place, anchors, progress)
        found.problems = list(islice(problems, MOST_PROBLEMS))
        found.more_problems = sum(1 for _ in problems)
    try:
        found.head = record.head()
        found.unwritten = len(record.open_signatures())
        with Progress("signatures read", sys.stderr) as progress:
            found.agreement = agreement_of(record, period, progress.update)
        found.readers = readers_of(record, period)
    except StorageError:
        if not found.problems:
            raise
    return found


def _problems(
    record: Record, place: _Place, anchors: list[Anchor], progress: Progress
) -> Iterator[str]:
    folder = place.verifications
    if folder is not None and not folder.is_dir() and record.slides_with(Action.WRITTEN):
        yield "the folder of the verification files is not there; none of them was looked at"
        folder = None
    yield from Chain(record, folder, anchors, progress.update).problems()


def _export(
    record: Record, place: _Place, period: Period, arguments: argparse.Namespace
) -> Exported:
    if place.slides is None:
        raise ConfigError("--export needs the images; give --config FILE, or PATH with --state.")
    choice = Choice(every=arguments.all, not_counted=arguments.all_labels)
    wanted, not_counted = wanted_cells(record, period, choice)
    if not wanted:
        return Exported(not_counted=not_counted)
    images = ImageFiles(place.slides, _no_look)
    with Progress("images exported", sys.stderr) as progress:
        exported = export(
            wanted,
            cells_in(place.slides.sidecars),
            images.content,
            arguments.export,
            lambda done: progress.update(done, len(wanted)),
        )
    exported.not_counted = not_counted
    return exported


def _no_look() -> Look:
    raise AssertionError("images are read by their cells")


def _place(arguments: argparse.Namespace) -> _Place:
    if arguments.since and arguments.until and arguments.since > arguments.until:
        raise ConfigError("--since is after --until; give the earlier day first.")
    if arguments.export is None and (arguments.all or arguments.all_labels):
        raise ConfigError("--all and --all-labels belong to --export; give it, too.")
    if arguments.config is not None:
        if arguments.path or arguments.state or arguments.verifications or arguments.images:
            raise ConfigError("--config names all folders; give it alone, or the others.")
        config = load_send_config(arguments.config, FORMATS, needs_targets=False)
        return _Place(config.state_dir, config.slides.verifications, config.slides)
    if arguments.state is None:
        raise ConfigError("give --config FILE, or --state DIR with the record.")
    if not arguments.state.is_dir():
        raise ConfigError(f"{arguments.state} is no folder; give the state_dir with the record.")
    slides = SlideConfig(arguments.path, arguments.images) if arguments.path else None
    given = arguments.verifications
    return _Place(arguments.state, given or arguments.state / VERIFICATIONS, slides)


def _day(text: str) -> date:
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no day such as 2026-11-23")


def _anchor(text: str) -> Anchor:
    try:
        return Anchor.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is {error}") from error


AUDIT: Final[Command] = Command(
    _add_options,
    _run,
)
