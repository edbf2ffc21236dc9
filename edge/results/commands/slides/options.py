"""Options of the commands that look at slides, and the look itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from edge.errors import ConfigError
from edge.results.commands.reading import add_path, cells_in
from edge.results.differential.bundle_errors import errors_of_slide, read_bundle_errors
from edge.results.issued.database import NAME
from edge.results.issued.issued import Issued
from edge.results.manifest.manifest import Manifest, read_manifest
from edge.results.slides.completeness import MARKER, QUIET_S, Completeness
from edge.results.slides.outcome import SlideReport
from edge.results.slides.resolvers import MANIFEST_NAME, Resolvers
from edge.results.slides.slide_results import NoHistory, SlideRules, slide_results
from edge.text.path_template import PathTemplate

# Where verifications are unless an option says it, below the folder of what was issued.
VERIFICATIONS: Final = "verifications"


def add_slide_options(parser: argparse.ArgumentParser) -> None:
    """PATH, and what names slides and makes them complete."""
    add_path(parser)
    text = f"manifest of all images; otherwise each {MANIFEST_NAME} beside them"
    parser.add_argument("--manifest", type=Path, metavar="FILE", help=text)
    text = "path template for sidecars without ids, such as '{sample_id}/{slide_id}/*'"
    parser.add_argument("--template", type=_template, metavar="TEXT", help=text)
    text = "the watch folder, if PATH is a results folder of its own"
    parser.add_argument("--images", type=Path, metavar="DIR", help=text)
    text = "bundle that labelled, for the intervals with the model's errors; may be repeated"
    parser.add_argument(
        "--bundle", type=Path, action="append", default=[], metavar="DIR", help=text
    )
    text = "folder of the issued results (state_dir of edge-results send)"
    parser.add_argument("--state", type=Path, metavar="DIR", help=text)
    text = f"folder of the verifications; {VERIFICATIONS} in the folder of --state by default"
    parser.add_argument("--verifications", type=Path, metavar="DIR", help=text)
    text = "file in a slide's folder that says that it is complete (%(default)s)"
    parser.add_argument("--marker", default=MARKER, metavar="NAME", help=text)
    text = "a slide is complete after so long without a new image; 0: never by time (%(default)g)"
    parser.add_argument("--quiet", type=_seconds, default=QUIET_S, metavar="SECONDS", help=text)


def report_of(arguments: argparse.Namespace) -> SlideReport:
    """What the sidecars below PATH make of the slides now; nothing is written.

    Raises:
        ConfigError: an option is wrong.
        EdgeError: a file that an option names cannot be used.
    """
    bundles = [read_bundle_errors(path) for path in arguments.bundle]
    unread: list[Path] = []
    resolvers = Resolvers(
        images=arguments.images,
        given=_manifest(arguments.manifest) if arguments.manifest else None,
        template=arguments.template,
    )
    rules = SlideRules(
        completeness=Completeness(arguments.marker, arguments.quiet or None),
        verifications=_verifications(arguments),
        errors=partial(errors_of_slide, bundles=bundles),
    )
    with open_issued(arguments.state) if arguments.state else nullcontext(NoHistory()) as history:
        return slide_results(
            cells_in(arguments.path, unread),
            resolvers,
            rules=rules,
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
    if not (folder / NAME).exists():
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


def _manifest(path: Path) -> Manifest:
    manifest = read_manifest(path)
    if manifest.problem:
        raise ConfigError(f"{path} {manifest.problem}")
    return manifest


def _template(text: str) -> PathTemplate:
    try:
        return PathTemplate.parse(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0")
    return value
