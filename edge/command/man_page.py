"""Generates a command's manual page from its parser, with argparse-manpage."""

from __future__ import annotations

import argparse
import copy
from functools import partial
from typing import Final

import edge
from edge.command.parsers import parsers

_EXIT_CODES: Final = {
    "0": "done",
    "2": "the command line or the configuration is wrong, or edge-bench compare was given "
    "measurements that cannot be compared",
    "3": "the model or the bundle cannot be used",
    "4": "the accuracy gate refused the converted model, or edge-bench compare found a figure that "
    "became worse",
    "5": "the machine lacks what was asked for",
    "6": "a disk or share refused to read or write",
    "7": "edge-convert wrote a bundle that runs in FP32: no INT8 graph for CPUs could be made or "
    "passed the accuracy gate",
    "130": "interrupted",
    "1": "anything else; edge-results verify found problems, or edge-results send --once left a "
    "result waiting or held",
}
# Columns. Texts are not wrapped: groff does it, and would take a line that starts with a quotation
# mark for a request. It also makes the page independent of the terminal's width.
_ONE_LINE: Final = 100_000
# A hyphenated option or code could not be copied from the page.
_NO_HYPHENS: Final = ".nr HY 0\n"


def man_page(parser: argparse.ArgumentParser) -> str:
    """The manual page, for section 1."""
    from argparse_manpage.manpage import Manpage

    source = copy.deepcopy(parser)
    for command in parsers(source):
        command.formatter_class = partial(argparse.HelpFormatter, width=_ONE_LINE)
        if command is not source:
            # The page already shows the subcommand's help, which has the same text.
            command.description = None
    page = Manpage(source, format="single-commands-section")
    page.date = ""
    page.source = f"microscope-edge {edge.__version__}"
    page.manual = "microscope-edge"
    page.description = parser.description
    # argparse-manpage escapes only the first word.
    page.synopsis[1:] = [word.replace("-", r"\-") for word in page.synopsis[1:]]
    codes = "\n".join(f".TP\n.B {code}\n{meaning}" for code, meaning in _EXIT_CODES.items())
    page.add_section("exit status", "=", codes)
    return _NO_HYPHENS + str(page)
