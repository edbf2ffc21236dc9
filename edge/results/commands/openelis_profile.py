"""`edge-results openelis-profile`: what OpenELIS' analyzer bridge needs to read our files."""

from __future__ import annotations

import argparse
from typing import Final

from edge.command.new_file import add_overwrite, require_free
from edge.command.values import given_path
from edge.files.atomic import write_file
from edge.results.commands.command import Command, Show
from edge.results.formats.code_map import load_code_map
from edge.results.formats.files.openelis_profile import openelis_profile


def _add_options(parser: argparse.ArgumentParser) -> None:
    text = "the site's code map, otherwise the shipped one"
    parser.add_argument("--codes", type=given_path, metavar="FILE", help=text)
    parser.add_argument("--out", type=given_path, metavar="FILE", help="write it to a file")
    add_overwrite(parser)


def _run(arguments: argparse.Namespace, show: Show) -> int:
    if arguments.out is not None:
        require_free(arguments.out, overwrite=arguments.overwrite)
    profile = openelis_profile(load_code_map(arguments.codes))
    if arguments.out is not None:
        write_file(arguments.out, profile)
        show(f"{arguments.out} has the profile; hand it to whoever runs the bridge.")
    else:
        show(profile.decode().rstrip("\n"))
    return 0


OPENELIS_PROFILE: Final = Command(_add_options, _run)
