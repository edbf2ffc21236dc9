"""`edge-results codes`: the code map to edit, and whether an edited one is right."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from edge.files.atomic import write_file
from edge.results.commands.command import Command, Show
from edge.results.formats.code_map import SHIPPED, load_code_map
from edge.text.counted import counted


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="check this code map")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the shipped map to a file")


def _run(arguments: argparse.Namespace, show: Show) -> int:
    if arguments.file is not None:
        codes = load_code_map(arguments.file)
        found = len(codes.method_less) + len(codes.manual)
        show(f"{arguments.file}: {counted(found, 'code')}, all right.")
    elif arguments.out is not None:
        write_file(arguments.out, SHIPPED.read_bytes())
    else:
        show("\n".join(SHIPPED.read_text("utf-8").splitlines()))
    return 0


CODES: Final = Command(
    "codes", "print the LOINC codes of results, or check a file of them", _add_options, _run
)
