"""`edge-daemon run | once | status | retry | check-config | install`."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import edge
from daemon import install
from daemon.check_config import check_config
from daemon.config import Config, load_config
from daemon.lifecycle import Lifecycle
from daemon.log_queue import QueuedScreen
from daemon.logs import logging_to_stderr, open_pseudonyms
from daemon.retry_images import retry_images
from daemon.running import read_running
from daemon.signals import acting_on_signals
from daemon.startup import opened_service
from daemon.status import status_fields, status_text
from daemon.summary import read_summary
from edge.command import INTERRUPTED, CommandParser, run_command
from edge.errors import RejectReason
from edge.printable import printable, printable_lines
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
    lifecycle = Lifecycle(arguments.config)
    # A signal that comes while the last lines of the log are written is one too many.
    with lifecycle.acting_on_signals(), logging_to_stderr(config.log_level):
        lifecycle.run(config)
    return 0


def _once(config: Config, arguments: argparse.Namespace) -> int:
    was_stopped = threading.Event()
    with (
        logging_to_stderr(config.log_level) as queued,
        opened_service(config, is_once=True) as service,
    ):

        def stop() -> None:
            was_stopped.set()
            service.stop()

        tally = service.tally
        # Shown as the log is: a terminal that somebody stopped does not stop the labelling.
        with (
            acting_on_signals({signal.SIGTERM: stop, signal.SIGINT: stop}),
            Progress("images", QueuedScreen(queued)) as progress,
        ):
            unsettled = service.once(lambda: progress.update(tally.finished, tally.expected))
    _show(json.dumps(tally.to_dict()) if arguments.json else tally.summary())
    if unsettled:
        text = f"{unsettled} files are still being written and were left"
        print(text, file=sys.stderr)
    if left := service.tally.left:
        text = "held by other programs or by a share that gives errors, and left for the next run"
        print(f"{left} images are {text}", file=sys.stderr)
    if was_stopped.is_set():
        print("error: stopped before the end; start again to go on", file=sys.stderr)
        return INTERRUPTED
    return 0


def _status(config: Config, arguments: argparse.Namespace) -> int:
    summary = read_summary(config.state_dir, [watch.folder for watch in config.watch])
    running = read_running(config.state_dir)
    fields = status_fields(summary, open_pseudonyms(config.state_dir), running)
    text = json.dumps(fields, indent=1) if arguments.json else status_text(fields, arguments.config)
    _show(text)
    return 0


def _retry(config: Config, arguments: argparse.Namespace) -> int:
    count = retry_images(config, arguments.image, arguments.reason)
    _show(f"put back to be labelled again: {count}")
    return 0


def _check_config(config: Config, _arguments: argparse.Namespace) -> int:
    for line in check_config(config):
        _show(printable(line))
    return 0


def _install(arguments: argparse.Namespace) -> int:
    site = install.site_of(arguments)
    for step in install.plan(site):
        for line in install.describe(site, step):
            _show(line)
        if not arguments.dry_run:
            install.apply(site, step)
    for line in install.next_steps(site):
        _show(line)
    return 0


def _show(text: str) -> None:
    # A line may name a file, whose name anybody may have chosen.
    print(printable_lines(text))


def _parser() -> CommandParser:
    parser = CommandParser(
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
    which.add_argument("--image", type=Path, metavar="PATH", help="one image, whatever its outcome")
    _add(commands, "check-config", _check_config, "check everything that a start needs")
    text = "install unit, user, folders and configuration; starts nothing"
    install.add_arguments(commands.add_parser("install", help=text, description=text))
    return parser


def _add(
    commands: argparse._SubParsersAction[CommandParser],
    name: str,
    command: Callable[[Config, argparse.Namespace], int],
    description: str,
) -> CommandParser:
    parser = commands.add_parser(name, help=description, description=description)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="edge.yaml")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
