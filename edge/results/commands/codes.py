"""`edge-results codes`: the code map to edit, and whether an edited one is right."""

from __future__ import annotations

import argparse
from typing import Final

from edge.command.new_file import add_overwrite, require_free
from edge.command.values import given_path
from edge.files.atomic import write_file
from edge.results.commands.command import Command, Show
from edge.results.formats.code_map import SHIPPED, load_code_map
from edge.text.counted import counted


def _add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "file", nargs="?", type=given_path, metavar="FILE", help="check this code map"
    )
    group.add_argument(
        "--out", type=given_path, metavar="FILE", help="write the shipped map to a file"
    )
    add_overwrite(parser)


def _run(arguments: argparse.Namespace, show: Show) -> int:
    if arguments.file is not None:
        codes = load_code_map(arguments.file)
        found = len(codes.method_less) + len(codes.manual)
        show(f"{arguments.file}: {counted(found, 'code')}, all right.")
    elif arguments.out is not None:
        # It may be the site's own map, with hours of work in it.
        require_free(arguments.out, overwrite=arguments.overwrite)
        write_file(arguments.out, SHIPPED.read_bytes())
        show(f"{arguments.out} has the shipped code map; edit it, then check it with `codes FILE`.")
    else:
        show("\n".join(SHIPPED.read_text("utf-8").splitlines()))
    return 0


CODES: Final = Command(
    _add_options,
    _run,
)
