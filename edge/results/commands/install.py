"""`edge-results install` and `uninstall`: the service that sends, under systemd."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from edge.command.values import given_path
from edge.errors import ConfigError
from edge.install.files import PREFIX, man_and_completions
from edge.install.steps import apply, describe
from edge.results.commands.command import Command, Show
from edge.results.formats.shipped.table import FORMATS
from edge.results.install import install, uninstall
from edge.results.install.place import Place
from edge.results.install.site import site_of


def _add_install_options(parser: argparse.ArgumentParser) -> None:
    for option, what in (
        ("--sidecars", "the results folder of the labelling service"),
        ("--images", "the folder that the analyzer exports to"),
        ("--verifications", "the folder of verification files"),
        ("--bundle", "the bundle NAME.edge of the labelling service, for the intervals"),
        ("--drop", "the folder that the LIS imports from"),
    ):
        text = f"{what}; for a new configuration"
        parser.add_argument(option, type=given_path, metavar="DIR", help=text)
    text = "the format of --drop (default: senaite); for a new configuration"
    parser.add_argument("--format", choices=sorted(FORMATS), metavar="NAME", help=text)
    text = "the receiver of HL7 messages; for a new configuration"
    parser.add_argument("--mllp", metavar="ADDRESS:PORT", help=text)
    text = "let the service use what this group may use, such as the drop folder"
    parser.add_argument("--share", metavar="GROUP", help=text)
    text = f"where the program is installed (default: as before, or {PREFIX})"
    parser.add_argument("--prefix", type=given_path, metavar="DIR", help=text)
    _add_common_options(parser)


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    text = "the analyzer: the unit is edge-results@NAME"
    parser.add_argument("--instance", required=True, metavar="NAME", help=text)
    text = "the folder of another system, such as a disk image, in place of /"
    parser.add_argument("--root", type=given_path, default=Path("/"), metavar="DIR", help=text)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def _install(
    arguments: argparse.Namespace, show: Show, *, parser: Callable[[], argparse.ArgumentParser]
) -> int:
    site = site_of(arguments)
    _require_root("install", arguments)
    for step in install.plan(site, man_and_completions(parser())):
        for line in describe(site.place, step, is_whole=arguments.dry_run):
            show(line)
        if not arguments.dry_run:
            apply(site.place, step)
    for line in install.next_steps(site, is_dry_run=arguments.dry_run):
        show(line)
    return 0


def _uninstall(arguments: argparse.Namespace, show: Show) -> int:
    _require_root("uninstall", arguments)
    place = Place(arguments.instance, arguments.root.absolute())
    for step in uninstall.plan(place):
        for line in describe(place, step):
            show(line)
        if not arguments.dry_run:
            apply(place, step)
    show("results, sidecars, images and the program stay as they are")
    return 0


def _require_root(command: str, arguments: argparse.Namespace) -> None:
    if os.geteuid() != 0 and not arguments.dry_run:
        raise ConfigError(
            f"{command} writes to /etc: run it as root, or see what it would do with --dry-run."
        )


def install_command(parser: Callable[[], argparse.ArgumentParser]) -> Command:
    """The command `install`.

    Args:
        parser: the whole command line, for the manual and the completions.
    """
    return Command(
        _add_install_options,
        partial(_install, parser=parser),
    )


UNINSTALL: Final = Command(
    _add_common_options,
    _uninstall,
)
