"""`edge-results openelis-profile`: what OpenELIS' analyzer bridge needs to read our files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from edge.files.atomic import write_file
from edge.results.commands.command import Command, Show
from edge.results.formats.code_map import load_code_map
from edge.results.formats.files.openelis_profile import openelis_profile


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--codes", type=Path, metavar="FILE", help="the site's code map")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it to a file")


def _run(arguments: argparse.Namespace, show: Show) -> int:
    profile = openelis_profile(load_code_map(arguments.codes))
    if arguments.out is not None:
        write_file(arguments.out, profile)
    else:
        show(profile.decode().rstrip("\n"))
    return 0


OPENELIS_PROFILE: Final = Command(
    "openelis-profile", "print the profile for OpenELIS' analyzer bridge", _add_options, _run
)
