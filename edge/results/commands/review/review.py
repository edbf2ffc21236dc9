"""`edge-results review`: serves the page on which people see, correct and sign slides."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from edge.command.lines import Lines
from edge.command.values import whole_number
from edge.errors import BackendError, ConfigError
from edge.failpoints import arm_failpoints
from edge.results.commands.command import Command, Show
from edge.results.commands.review.usable import require_usable
from edge.results.commands.slides.options import add_slide_options, look_of
from edge.results.formats.shipped.table import FORMATS
from edge.results.reading.tree import require_folder
from edge.results.send.config import load_send_config
from edge.results.settings.review_config import ReviewConfig
from edge.results.settings.slide_config import SlideConfig
from edge.system.installation import install_command
from edge.text.printable import printable


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is reviewed, how, and the folder of record and results."""

    slides: SlideConfig
    review: ReviewConfig
    state: Path


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_slide_options(parser)
    text = "port of the page on this machine; 0: a free one (default: 8765)"
    parser.add_argument("--port", type=whole_number(0, 65535), metavar="N", help=text)
    text = "show the address only, and open no browser"
    parser.add_argument("--no-browser", action="store_true", help=text)
    text = "ask for a PIN, print the line for a person in results.yaml, and end"
    parser.add_argument("--make-pin", action="store_true", help=text)


def _run(arguments: argparse.Namespace, show: Show) -> int:
    if arguments.make_pin:
        from edge.results.commands.review.pins import new_pin_line

        show(new_pin_line())
        return 0
    wanted = _wanted(arguments)
    _require_extra()
    require_usable(wanted.slides, wanted.state)
    reference = wanted.review.reference
    if reference is not None and not reference.is_dir():
        _tell(f"warning: review.reference: {reference} is no folder; there is nothing to compare")
    for name in arm_failpoints():
        show(f"failpoint {name} is armed")
    # The page must not wait for a person who reads the lines.
    _serve(wanted, Lines(show), opens_browser=not arguments.no_browser)
    return 0


def _wanted(arguments: argparse.Namespace) -> _Wanted:
    if arguments.config is not None:
        config = load_send_config(arguments.config, FORMATS, needs_targets=False)
        review, state = config.review, config.state_dir
    elif arguments.state is not None:
        review, state = ReviewConfig(), arguments.state
    else:
        raise ConfigError(
            "--state DIR is missing: the folder that keeps the record; or give --config FILE."
        )
    if arguments.port is not None:
        review = replace(review, port=arguments.port)
    slides = look_of(arguments).slides
    # A share of a configuration may be away for a while; what was typed just now is there.
    if arguments.config is None:
        require_folder(slides.sidecars)
    return _Wanted(slides, review, state)


def _require_extra() -> None:
    """Refuse to start without the libraries of the extra.

    Raises:
        BackendError: they are not installed.
    """
    if missing := [name for name in ("starlette", "uvicorn") if find_spec(name) is None]:
        raise BackendError(
            f"the review page needs {' and '.join(missing)}: "
            f"{sys.executable} -m {install_command('review')}"
        )


def _serve(wanted: _Wanted, show: Lines, *, opens_browser: bool) -> None:
    from edge.results.commands.review.window import run_in_window
    from edge.results.review.desk.desk import Desk
    from edge.results.review.page.files import page_file
    from edge.results.review.people.people import People
    from edge.results.review.server.connections.listening import warnings_of
    from edge.results.review.server.page_server import Surroundings, open_page

    @contextmanager
    def opening() -> Iterator[Desk]:
        with Desk.open(wanted.slides, wanted.review, wanted.state) as desk:
            yield desk

    people = People(wanted.review.people)
    surroundings = Surroundings(opening, page_file, _tell)
    with open_page(wanted.review, people, surroundings) as page:
        for line in warnings_of(wanted.review):
            _tell(f"warning: {line}")
        if people.alone is not None:
            name = printable(f"{people.alone.name} ({people.alone.id})")
            show(f"Signatures will be those of {name}, the user of the system.")
        if people.alone is not None and people.alone.id == "root":
            _tell("warning: root is no person; start the page as the one who signs, or name people")
        asyncio.run(run_in_window(page, show, opens_browser=opens_browser))
    show("The page has ended.")


def _tell(line: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()


REVIEW: Final = Command(_add_options, _run)
