"""A manual page for a command, made of its parser by argparse-manpage."""

from __future__ import annotations

import argparse
import copy
from functools import partial
from typing import Final

import edge
from edge.command.parsers import parsers

_EXIT_CODES: Final = {
    "0": "done",
    "2": "the command line or the configuration is wrong",
    "3": "the model or the bundle cannot be used",
    "4": "the accuracy gate refused the converted model",
    "5": "the machine lacks what was asked for",
    "6": "a disk, or what lies on it, refused",
    "7": "edge-convert wrote a bundle that runs in FP32: no INT8 graph for CPUs could be made or "
    "passed the accuracy gate",
    "130": "interrupted",
    "1": "anything else",
}
# Columns: no text is broken into lines before groff does it, which would take a line that
# starts with a quotation mark for a request. The page is the same at any width of the terminal.
_ONE_LINE: Final = 100_000
# An option or a code that is parted at the end of a line can't be copied from the page.
_NO_HYPHENS: Final = ".nr HY 0\n"


def man_page(parser: argparse.ArgumentParser) -> str:
    """The page in section 1."""
    from argparse_manpage.manpage import Manpage

    source = copy.deepcopy(parser)
    for command in parsers(source):
        command.formatter_class = partial(argparse.HelpFormatter, width=_ONE_LINE)
        if command is not source:
            # The page shows the help beside it, which says the same.
            command.description = None
    page = Manpage(source, format="single-commands-section")
    page.date = ""
    page.source = f"microscope-edge {edge.__version__}"
    page.manual = "microscope-edge"
    page.description = parser.description
    # The page escapes the first alone.
    page.synopsis[1:] = [word.replace("-", r"\-") for word in page.synopsis[1:]]
    codes = "\n".join(f".TP\n.B {code}\n{meaning}" for code, meaning in _EXIT_CODES.items())
    page.add_section("exit status", "=", codes)
    return _NO_HYPHENS + str(page)
