"""`edge-daemon install | uninstall`, and `check-config --installed`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

from daemon.install import install, uninstall
from daemon.install.place import Place
from daemon.install.sandbox import check_in_sandbox
from daemon.install.site import site_of
from edge.command.run import run_command
from edge.install.files import man_and_completions
from edge.install.steps import apply, describe
from edge.install.systemd import has_systemd
from edge.text.printable import printable_lines


def add_install(
    parser: argparse.ArgumentParser, whole: Callable[[], argparse.ArgumentParser]
) -> None:
    """Add the options of `install`.

    Args:
        parser: of the subcommand.
        whole: the whole command line, for the manual and the completions.
    """
    install.add_arguments(parser)
    parser.set_defaults(command=partial(_install, whole=whole))


def add_uninstall(parser: argparse.ArgumentParser) -> None:
    """Add the options of `uninstall`."""
    uninstall.add_arguments(parser)
    parser.set_defaults(command=_uninstall)


def check_installed(place: Place) -> int:
    """Check an installed service's configuration in its sandbox; returns the exit code."""
    check = check_in_sandbox(place)
    print(printable_lines(check.out), end="")
    print(printable_lines(check.errors), end="", file=sys.stderr)
    return check.exit_code


def _install(arguments: argparse.Namespace, *, whole: Callable[[], argparse.ArgumentParser]) -> int:
    site = site_of(arguments)
    install.require_root("install", dry_run=arguments.dry_run)
    for step in install.plan(site, man_and_completions(whole())):
        for line in describe(site.place, step, is_whole=arguments.dry_run):
            _show(line)
        if not arguments.dry_run:
            apply(site.place, step)
    if arguments.dry_run:
        for line in install.after_dry_run(site):
            _show(line)
        return 0
    checks = has_systemd() and not site.place.is_image
    if checks:
        print("check  the service's configuration, in its sandbox", flush=True)
        if exit_code := _check_after(site.place):
            return exit_code
    for line in install.next_steps(site, is_checked=checks):
        _show(line)
    return 0


def _check_after(place: Place) -> int:
    """Check the configuration after an installation, which is kept whatever is found."""
    exit_code = run_command(lambda: check_installed(place))
    if exit_code:
        print(
            "error: everything is installed, but the service could not label now. Correct the "
            f"problems above, then: edge-daemon check-config --installed{place.option}",
            file=sys.stderr,
        )
    return exit_code


def _uninstall(arguments: argparse.Namespace) -> int:
    install.require_root("uninstall", dry_run=arguments.dry_run)
    place = uninstall.place_of(arguments)
    for step in uninstall.plan(place, is_purge=arguments.purge):
        for line in describe(place, step):
            _show(line)
        if not arguments.dry_run:
            apply(place, step)
    for line in uninstall.closing_lines():
        _show(line)
    return 0


def _show(text: str) -> None:
    # A file's name may hold control characters.
    print(printable_lines(text))
