"""`edge-results show`: the slides below a folder, with their differentials."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Final

from edge.errors import ConfigError
from edge.results.commands.command import Command, Show
from edge.results.commands.slides.lines import json_lines, report_text, slide_texts
from edge.results.commands.slides.options import add_slide_options, chosen, look_of, report_of
from edge.results.slides.outcome import SlideReport
from edge.text.printable import printable


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_slide_options(parser)
    text = "only these slides, with both intervals: a sample id, a slide id, or SAMPLE/SLIDE"
    parser.add_argument("--slide", metavar="ID", help=text)
    parser.add_argument("--json", action="store_true", help="one line of JSON for each slide")


def _run(arguments: argparse.Namespace, show: Show) -> int:
    report = _only(report_of(look_of(arguments)), arguments.slide)
    if arguments.json:
        for line in json_lines(report):
            show(line)
        return 0
    if arguments.slide is not None:
        for text in slide_texts(report):
            show(f"{text}\n")
    show(report_text(report))
    return 0


def _only(report: SlideReport, wanted: str | None) -> SlideReport:
    """The slides that a person asked for.

    Raises:
        ConfigError: there is none.
    """
    if wanted is None:
        return report
    found = replace(
        report,
        new=tuple(r for r in report.new if chosen((r.sample_id, r.slide_id), wanted)),
        standing=tuple(r for r in report.standing if chosen((r.sample_id, r.slide_id), wanted)),
        incomplete=tuple(
            one
            for one in report.incomplete
            if chosen((one.so_far.sample_id, one.so_far.slide_id), wanted)
        ),
        held=tuple(one for one in report.held if chosen((one.sample_id, one.slide_id), wanted)),
        notes=tuple(one for one in report.notes if chosen((one.sample_id, one.slide_id), wanted)),
        unidentified=(),
    )
    if not (found.new or found.standing or found.incomplete or found.held):
        raise ConfigError(
            f"no slide is called {printable(wanted)!r}; see the list without --slide."
        )
    return found


SHOW: Final = Command(_add_options, _run)
