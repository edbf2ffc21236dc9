"""Options of the commands that look at slides, and the look itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from edge.command.values import given_path
from edge.errors import ConfigError
from edge.results.commands.reading import add_path, cells_in, is_there
from edge.results.differential.bundle_errors import errors_of_slide, read_bundle_errors
from edge.results.formats.shipped.table import FORMATS
from edge.results.issued.database import NAME
from edge.results.issued.issued import Issued
from edge.results.manifest.manifest import read_manifest
from edge.results.reading.tree import require_folder
from edge.results.send.config import load_send_config
from edge.results.send.mounted import MountedFolders
from edge.results.settings.slide_config import LONGEST_QUIET_S, VERIFICATIONS, SlideConfig
from edge.results.slides.completeness import MARKER, QUIET_S, Completeness
from edge.results.slides.history import NoHistory
from edge.results.slides.outcome import SlideReport
from edge.results.slides.resolvers import MANIFEST_NAME
from edge.results.slides.slide_results import slide_results
from edge.text.path_template import PathTemplate


@dataclass(frozen=True, slots=True)
class Look:
    """What a command looks at.

    Attributes:
        state: folder of what was issued; None if nothing was.
    """

    slides: SlideConfig
    state: Path | None


def add_slide_options(parser: argparse.ArgumentParser) -> None:
    """PATH or the configuration of `send`, and what names slides and makes them complete."""
    add_path(parser, optional=True)
    text = "the configuration of edge-results send, in place of PATH and of all other options here"
    parser.add_argument("--config", type=given_path, metavar="FILE", help=text)
    text = f"manifest of all images; otherwise each {MANIFEST_NAME} beside them"
    parser.add_argument("--manifest", type=given_path, metavar="FILE", help=text)
    text = "path template for sidecars without ids, such as '{sample_id}/{slide_id}/*'"
    parser.add_argument("--template", type=_template, metavar="TEXT", help=text)
    text = "the watch folder, if PATH is a results folder of its own"
    parser.add_argument("--images", type=given_path, metavar="DIR", help=text)
    text = "bundle that labelled, for the intervals with the model's errors; may be repeated"
    parser.add_argument(
        "--bundle", type=given_path, action="append", default=[], metavar="DIR", help=text
    )
    text = "folder of the issued results (state_dir of edge-results send)"
    parser.add_argument("--state", type=given_path, metavar="DIR", help=text)
    text = f"folder of the verifications; {VERIFICATIONS} in the folder of --state by default"
    parser.add_argument("--verifications", type=given_path, metavar="DIR", help=text)
    text = "file in a slide's folder that says that it is complete (%(default)s)"
    parser.add_argument("--marker", default=MARKER, metavar="NAME", help=text)
    text = "a slide is complete after so long without a new image, or `never` by time (%(default)g)"
    parser.add_argument("--quiet", type=_seconds, default=QUIET_S, metavar="SECONDS", help=text)
    text = "the LIS keeps the differentials of several slides of one sample"
    parser.add_argument("--several-per-sample", action="store_true", help=text)


def look_of(arguments: argparse.Namespace) -> Look:
    """What to look at.

    Raises:
        ConfigError: an option or the configuration is wrong, or PATH is missing.
    """
    if arguments.config is not None:
        if arguments.path is not None:
            raise ConfigError("PATH and --config are both given; the configuration names a folder.")
        config = load_send_config(arguments.config, FORMATS, needs_targets=False)
        state = config.state_dir
        return Look(config.slides, state if is_there(state / NAME) else None)
    if arguments.path is None:
        raise ConfigError("PATH is missing; give the folder with the sidecars, or --config FILE.")
    if arguments.manifest and (problem := read_manifest(arguments.manifest).problem):
        raise ConfigError(f"{arguments.manifest} {problem}")
    if arguments.images is not None:
        require_folder(arguments.images)
    slides = SlideConfig(
        sidecars=arguments.path,
        images=arguments.images,
        template=arguments.template,
        manifest=arguments.manifest,
        completeness=Completeness(arguments.marker, arguments.quiet),
        verifications=_verifications(arguments),
        bundles=tuple(arguments.bundle),
        takes_several_slides=arguments.several_per_sample,
    )
    return Look(slides, arguments.state)


def report_of(look: Look) -> SlideReport:
    """What the sidecars make of the slides now; nothing is written.

    Raises:
        EdgeError: a file that an option or the configuration names cannot be used.
    """
    bundles = [read_bundle_errors(path) for path in look.slides.bundles]
    unread: list[Path] = []
    cells = cells_in(look.slides.sidecars, unread)
    # As send does: it would issue nothing of what is seen while a share is away.
    MountedFolders(look.slides, look.state).require()
    with open_issued(look.state) if look.state else nullcontext(NoHistory()) as history:
        return slide_results(
            cells,
            look.slides.resolvers(),
            rules=look.slides.rules(partial(errors_of_slide, bundles=bundles)),
            history=history,
            now=datetime.now(UTC),
            unread=unread,
        )


def open_issued(folder: Path) -> Issued:
    """What was issued; the folder must have it.

    Raises:
        ConfigError: it has not.
        StorageError: it cannot be opened.
    """
    if not is_there(folder / NAME):
        raise ConfigError(
            f"{folder} has no issued results; give the state_dir of edge-results send."
        )
    return Issued.open(folder)


def chosen(ids: Sequence[str | None], wanted: str | None) -> bool:
    """Whether a person means this slide: by sample, by slide, or by both as SAMPLE/SLIDE."""
    return wanted is None or wanted in {*ids, "/".join(filter(None, ids))}


def _verifications(arguments: argparse.Namespace) -> Path | None:
    if arguments.verifications is not None:
        return Path(arguments.verifications)
    return arguments.state / VERIFICATIONS if arguments.state else None


def _template(text: str) -> PathTemplate:
    try:
        return PathTemplate.parse(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> float | None:
    if text == "never":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= LONGEST_QUIET_S:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of seconds from 0 to {LONGEST_QUIET_S}, and not `never`"
        )
    return value
