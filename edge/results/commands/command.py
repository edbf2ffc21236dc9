"""What a subcommand does; its name and help are in `edge/results/cli.py`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

# Prints lines on standard output.
Show = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand.

    Attributes:
        add_options: adds its options and arguments to the parser.
        run: does the work and returns the exit code; raises EdgeError.
    """

    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Show], int]
