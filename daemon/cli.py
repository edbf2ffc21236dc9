"""`edge-daemon run | once | status | retry | check-config | install`."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import edge
from daemon import install
from daemon.check_config import check_config
from daemon.config import Config, load_config
from daemon.lifecycle import Lifecycle
from daemon.logs import open_pseudonyms, start_logging
from daemon.retry_images import (
    retry_all,
    retry_images,
    retry_missing,
    retry_older_than_bundle,
    retry_rejected,
)
from daemon.running import read_running
from daemon.service import Service
from daemon.startup import opened_service
from daemon.status import status_fields, status_text
from daemon.summary import read_summary
from edge.command import INTERRUPTED, run_command
from edge.errors import RejectReason
from edge.progress import Progress

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code of `edge.errors`."""
    arguments = _parser().parse_args(argv)

    def command() -> int:
        if "dry_run" in arguments:
            return _install(arguments)
        chosen: Callable[[Config, argparse.Namespace], int] = arguments.command
        return chosen(load_config(arguments.config), arguments)

    return run_command(command, debug=arguments.debug, is_private=True)


def _run(config: Config, arguments: argparse.Namespace) -> int:
    start_logging(config.log_level)
    lifecycle = Lifecycle(arguments.config)
    lifecycle.on_signals()
    lifecycle.run(config)
    return 0


def _once(config: Config, arguments: argparse.Namespace) -> int:
    start_logging(config.log_level)
    with opened_service(config, is_once=True) as service:
        was_stopped = _stop_on_signals(service)
        with Progress("images", sys.stderr) as progress:
            tally = service.tally
            unsettled = service.once(lambda: progress.update(tally.finished, tally.expected))
    print(json.dumps(service.tally.to_dict()) if arguments.json else service.tally.summary())
    if service.tally.rejected:
        text = f"which were rejected, and why: edge-daemon status --config {arguments.config}"
        print(text, file=sys.stderr)
    if unsettled:
        text = f"{unsettled} files are still being written and were left"
        print(text, file=sys.stderr)
    if was_stopped():
        print("error: stopped before the end; start again to go on", file=sys.stderr)
        return INTERRUPTED
    return 0


def _status(config: Config, arguments: argparse.Namespace) -> int:
    summary = read_summary(config.state_dir, [watch.folder for watch in config.watch])
    running = read_running(config.state_dir)
    fields = status_fields(summary, open_pseudonyms(config.state_dir), running)
    text = json.dumps(fields, indent=1) if arguments.json else status_text(fields, arguments.config)
    print(text)
    return 0


def _retry(config: Config, arguments: argparse.Namespace) -> int:
    with Progress("outcomes", sys.stderr) as progress:
        if arguments.image:
            retried = retry_images(config, arguments.image)
        elif arguments.all:
            retried = retry_all(config, progress.update)
        elif arguments.older_than_bundle:
            retried = retry_older_than_bundle(config, progress.update)
        elif arguments.missing:
            retried = retry_missing(config, progress.update)
        else:
            retried = retry_rejected(config, progress.update, arguments.reason)
    print(retried.text())
    return 0


def _check_config(config: Config, _arguments: argparse.Namespace) -> int:
    for line in check_config(config):
        print(line)
    return 0


def _install(arguments: argparse.Namespace) -> int:
    site = install.site_of(arguments)
    for step in install.plan(site):
        for line in install.describe(site, step):
            print(line)
        if not arguments.dry_run:
            install.apply(site, step)
    for line in install.next_steps(site):
        print(line)
    return 0


def _stop_on_signals(service: Service) -> Callable[[], bool]:
    """Stop the service on SIGTERM and SIGINT; the function returned says whether one came."""
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return lambda: bool(received)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edge-daemon", description="Label the cell images that an analyzer exports."
    )
    parser.add_argument(
        "--version", action="version", version=f"microscope-edge {edge.__version__}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "run", _run, "label images until stopped")
    once = _add(commands, "once", _once, "label the images that are there, then end")
    once.add_argument("--json", action="store_true", help="print the summary as JSON")
    status = _add(commands, "status", _status, "show counts and the last rejections")
    status.add_argument("--json", action="store_true", help="as JSON")
    retry = _add(commands, "retry", _retry, "have images labelled again that have an outcome")
    which = retry.add_mutually_exclusive_group()
    which.add_argument("--rejected", action="store_true", help="all rejected images (default)")
    which.add_argument(
        "--reason",
        choices=[str(reason) for reason in RejectReason],
        metavar="CODE",
        help="rejected images with this reason code, such as too_large",
    )
    which.add_argument("--all", action="store_true", help="all images that are there")
    which.add_argument(
        "--older-than-bundle",
        action="store_true",
        help="images that another bundle has labelled than the configured one",
    )
    which.add_argument(
        "--missing", action="store_true", help="images whose sidecars somebody has deleted"
    )
    text = "these images, whatever their outcomes"
    which.add_argument("--image", type=Path, nargs="+", metavar="PATH", help=text)
    _add(commands, "check-config", _check_config, "check everything that a start needs")
    text = "install unit, user, folders and configuration; starts nothing"
    install.add_arguments(commands.add_parser("install", help=text, description=text))
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[Config, argparse.Namespace], int],
    description: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=description, description=description)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="edge.yaml")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
