"""`edge-daemon run | once | status | retry | check-config | install`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import edge
from daemon import install
from daemon.check_config import check_config
from daemon.config import Config, load_config
from daemon.lifecycle import Lifecycle
from daemon.logs import open_pseudonyms, start_logging
from daemon.retry_images import retry_images
from daemon.service import Service
from daemon.startup import opened_service
from daemon.status import status_fields, status_text
from daemon.summary import read_summary
from edge.errors import EdgeError
from edge.progress import Progress

log = logging.getLogger(__name__)

# As the shell has it for a program ended by SIGINT.
_INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code of `edge.errors`."""
    arguments = _parser().parse_args(argv)
    try:
        if "dry_run" in arguments:
            return _install(arguments)
        command: Callable[[Config, argparse.Namespace], int] = arguments.command
        exit_code = command(load_config(arguments.config), arguments)
        sys.stdout.flush()
        return exit_code  # noqa: TRY300 - an `else` would not see the flush fail
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has what it wanted. Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the end of the program
        return _report(error, debug=arguments.debug)


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
    if unsettled:
        text = f"{unsettled} files are still being written and were left"
        print(text, file=sys.stderr)
    if was_stopped():
        print("error: stopped before the end; start again to go on", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _status(config: Config, arguments: argparse.Namespace) -> int:
    summary = read_summary(config.state_dir, [watch.folder for watch in config.watch])
    fields = status_fields(summary, open_pseudonyms(config.state_dir))
    print(json.dumps(fields, indent=1) if arguments.json else status_text(fields))
    return 0


def _retry(config: Config, arguments: argparse.Namespace) -> int:
    count = retry_images(config, arguments.image)
    print(f"put back to be labelled again: {count}")
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


def _report(error: Exception, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    if isinstance(error, EdgeError):
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return error.exit_code
    # Without its text, which may hold an image's path and with it a sample id.
    kind, place = type(error).__name__, _place(error)
    print(f"error: unexpected {kind} at {place}. Run again with --debug.", file=sys.stderr)
    return EdgeError.exit_code


def _place(error: Exception) -> str:
    """The last line of this program that the error passed, not of a library below it."""
    packages = Path(edge.__file__).parent.parent
    own = [packages / "daemon", packages / "edge"]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if any(Path(frame.filename).is_relative_to(package) for package in own):
            return f"{Path(frame.filename).relative_to(packages)}:{frame.lineno}"
    return "an unknown place"


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
    which.add_argument("--image", type=Path, metavar="PATH", help="one image, whatever its outcome")
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
