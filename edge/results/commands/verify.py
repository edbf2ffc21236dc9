"""`edge-results verify`: checks sidecars, images and CSV twins; for people and scripts."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from edge.command.progress import Progress
from edge.command.values import given_path
from edge.results.commands.command import Command, Show
from edge.results.commands.reading import add_path, require_found
from edge.results.reading.problem import Problem
from edge.results.reading.verify import Verified, verify
from edge.text.text_table import text_table

# Exit code: at least one problem was found. The errors' codes are in `edge.errors`.
FOUND: Final = 1


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_path(parser)
    text = "the images' folder, if the sidecars are in a results folder that mirrors it"
    parser.add_argument("--images", type=given_path, metavar="DIR", help=text)


def _run(arguments: argparse.Namespace, show: Show) -> int:
    with Progress("files checked", sys.stderr) as progress:
        verified = verify(
            arguments.path,
            arguments.images,
            lambda problem: show(_line(problem)),
            progress.update,
        )
    if not verified.problems:
        require_found(arguments.path, verified.sidecars)
    show(_summary(verified))
    return FOUND if verified.problems else 0


def _line(problem: Problem) -> str:
    return f"{problem.code}: {problem.line}"


def _summary(verified: Verified) -> str:
    tally = verified.sidecars
    checked = (
        ("JSON sidecars", tally.cells),
        ("CSV sidecars that agree with them", verified.csv),
        ("images", verified.images),
        ("images with the bytes that were labelled", verified.unchanged),
    )
    passed_over = (
        ("other JSON files", tally.foreign),
        ("hidden and system files and folders", tally.hidden),
        ("links, pipes and devices", tally.special),
    )
    rows = [(name, f"{count:,}") for name, count in checked]
    rows += [(f"passed over: {name}", f"{count:,}") for name, count in passed_over if count]
    problems = sorted(verified.problems.items())
    rows += [(f"problem: {code}", f"{count:,}") for code, count in problems]
    lines = [text_table(rows, right=(1,))]
    if not verified.images:
        lines.append("no images here, so none were checked; give their folder with --images")
    return "\n".join(lines if problems else [*lines, "no problem found"])


VERIFY = Command(
    _add_options,
    _run,
)
