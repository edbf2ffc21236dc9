"""Installations that are only planned."""

from __future__ import annotations

import argparse
from pathlib import Path

from daemon.install import install
from daemon.install.site import site_of
from edge.install.steps import FileStep

COMMAND = Path("usr/local/bin/edge-daemon")


def planned(machine: Path, *words: str) -> dict[str, str]:
    """The files that would be written, by the path that the machine would know."""
    parser = argparse.ArgumentParser()
    install.add_arguments(parser)
    arguments = parser.parse_args(["--dry-run", "--root", str(machine), *words])
    steps = install.plan(site_of(arguments), {})
    return {str(s.path): s.content for s in steps if isinstance(s, FileStep)}


def steps(out: str) -> list[str]:
    """The steps that were told, without the content of files and what is to do next."""
    verbs = ("write ", "change ", "keep ", "same ", "user ", "folder ", "run ", "remove ")
    return [line for line in out.splitlines() if line.startswith(verbs)]
