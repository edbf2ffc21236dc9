"""`edge-daemon run | once | status | retry | drift | check-config | install | uninstall`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edge.command.parser import CommandParser, add_common_options
from edge.command.run import INTERRUPTED, end_process, run_command
from edge.command.subcommands import Subcommand, add_subcommands
from edge.command.values import given_path
from edge.errors import ConfigError, StorageError
from edge.text.printable import printable, printable_lines

if TYPE_CHECKING:
    from daemon.config.config import Config


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code (see `edge.errors`).

    Without `argv` it takes the arguments of the process and ends the process.
    """
    arguments = build_parser().parse_args(argv)

    def command() -> int:
        chosen: Callable[[argparse.Namespace], int] = arguments.command
        return chosen(arguments)

    exit_code = run_command(command, debug=arguments.debug, is_private=True)
    if argv is None:
        end_process(exit_code)
    return exit_code


def _config(arguments: argparse.Namespace) -> Config:
    """Load the configuration named, or else the installed one; sets `arguments.config`."""
    from daemon.config.config import load_config
    from daemon.install.installed_config import installed_config

    if arguments.config is None:
        arguments.config = installed_config(arguments.instance)
    return load_config(arguments.config)


def _run(arguments: argparse.Namespace) -> int:
    from daemon.log.journald import logging_to_stderr
    from daemon.service_process import ServiceProcess
    from daemon.system.memory import use_one_arena

    config = _config(arguments)
    use_one_arena()
    process = ServiceProcess(arguments.config)
    # Signals are handled until the log's last lines are written.
    with process.acting_on_signals(), logging_to_stderr(config.log_level):
        process.run(config)
    return 0


def _once(arguments: argparse.Namespace) -> int:
    import json
    import signal
    import threading

    from daemon.log.journald import logging_to_stderr
    from daemon.log.queue import QueuedScreen
    from daemon.results.taken_names import left_text
    from daemon.startup import opened_service
    from daemon.system.signals import acting_on_signals
    from edge.command.progress import Progress
    from edge.text.counted import counted

    config = _config(arguments)
    was_stopped = threading.Event()
    with (
        logging_to_stderr(config.log_level) as queued,
        opened_service(config, is_once=True) as service,
    ):

        def stop() -> None:
            was_stopped.set()
            service.stop()

        outcome_counts = service.outcome_counts
        # Through the log's queue, so that a stopped terminal does not stop the labelling.
        with (
            acting_on_signals({signal.SIGTERM: stop, signal.SIGINT: stop}),
            Progress("images", QueuedScreen(queued)) as progress,
        ):
            unsettled = service.once(
                lambda: progress.update(outcome_counts.finished, outcome_counts.expected)
            )
    _show(json.dumps(outcome_counts.to_dict()) if arguments.json else outcome_counts.summary())
    if outcome_counts.rejected:
        text = f"which were rejected, and why: edge-daemon status --config {arguments.config}"
        print(text, file=sys.stderr)
    if unsettled:
        text = f"left for the next run, as still being written: {counted(unsettled, 'file')}"
        print(text, file=sys.stderr)
    if left := service.outcome_counts.left - service.parts.results.left:
        text = "left for the next run, as other programs hold them or their share gives errors"
        print(f"{text}: {counted(left, 'image')}", file=sys.stderr)
    if left := service.parts.results.left:
        print(f"error: {left_text(left)}", file=sys.stderr)
        return StorageError.exit_code
    if was_stopped.is_set():
        print("error: stopped before the end; start again to go on", file=sys.stderr)
        return INTERRUPTED
    return 0


def _status(arguments: argparse.Namespace) -> int:
    import json

    from daemon.journal.streams import read_histories
    from daemon.journal.summary import midnight_s, read_summary
    from daemon.log.journald import open_pseudonyms
    from daemon.operator.status import status_fields, status_text
    from daemon.supervision.running_daemon import read_running

    config = _config(arguments)
    folders = [watch.folder for watch in config.watch]
    summary = read_summary(config.state_dir, folders)
    histories = read_histories(config.state_dir, folders, from_s=midnight_s())
    running = read_running(config.state_dir)
    fields = status_fields(summary, open_pseudonyms(config.state_dir), running, histories)
    text = json.dumps(fields, indent=1) if arguments.json else status_text(fields, arguments.config)
    _show(text)
    return 0


def _retry(arguments: argparse.Namespace) -> int:
    from daemon.operator import retry
    from edge.command.progress import Progress

    config = _config(arguments)
    with Progress("outcomes", sys.stderr) as progress:
        if arguments.image:
            retried = retry.retry_images(config, arguments.image)
        elif arguments.all:
            retried = retry.retry_all(config, progress.update)
        elif arguments.older_than_bundle:
            retried = retry.retry_older_than_bundle(config, progress.update)
        elif arguments.missing:
            retried = retry.retry_missing(config, progress.update)
        else:
            retried = retry.retry_rejected(config, progress.update, arguments.reason)
    _show(retried.text())
    return 0


def _drift(arguments: argparse.Namespace) -> int:
    from daemon.drift.command import drift

    for line in drift(_config(arguments), arguments):
        _show(line)
    return 0


def _check_config(arguments: argparse.Namespace) -> int:
    from daemon.install.cli import check_installed
    from daemon.install.installed_config import installed_place
    from daemon.operator.check_config import check_config

    if not arguments.installed:
        for line in check_config(_config(arguments)):
            _show(printable(line))
        return 0
    if arguments.config is not None:
        raise ConfigError("--installed checks the configuration of the unit: leave --config out.")
    return check_installed(installed_place(arguments.instance))


def _show(text: str) -> None:
    # A file's name may hold control characters.
    print(printable_lines(text))


def _run_options(parser: argparse.ArgumentParser) -> None:
    text = "the configuration"
    parser.add_argument("--config", type=given_path, required=True, metavar="FILE", help=text)
    parser.set_defaults(command=_run)


def _once_options(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(command=_once)


def _status_options(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(command=_status)


def _retry_options(parser: argparse.ArgumentParser) -> None:
    from daemon.operator.retry import add_arguments

    _add_config(parser)
    add_arguments(parser)
    parser.set_defaults(command=_retry)


def _drift_options(parser: argparse.ArgumentParser) -> None:
    from daemon.drift.command import add_arguments

    _add_config(parser)
    add_arguments(parser)
    parser.set_defaults(command=_drift)


def _check_options(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    text = "check within the sandbox of the installed service, as root"
    parser.add_argument("--installed", action="store_true", help=text)
    parser.set_defaults(command=_check_config)


def _install_options(parser: argparse.ArgumentParser) -> None:
    from daemon.install.cli import add_install

    add_install(parser, build_parser)


def _uninstall_options(parser: argparse.ArgumentParser) -> None:
    from daemon.install.cli import add_uninstall

    add_uninstall(parser)


def _add_config(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    text = "the configuration (default: that of the installed service)"
    which.add_argument("--config", type=given_path, metavar="FILE", help=text)
    text = "the installed edge-daemon@NAME, where there are several"
    which.add_argument("--instance", metavar="NAME", help=text)


_SUBCOMMANDS = (
    Subcommand("run", "label images until stopped", _run_options),
    Subcommand("once", "label the images that are there, then end", _once_options),
    Subcommand("status", "show counts and the last rejections", _status_options),
    Subcommand("retry", "label images again that have an outcome", _retry_options),
    Subcommand(
        "drift", "show how each analyzer's images changed over the last weeks", _drift_options
    ),
    Subcommand("check-config", "check everything that a start needs", _check_options),
    Subcommand("install", "install the service and check it; nothing is started", _install_options),
    Subcommand(
        "uninstall",
        "stop the service and remove what install wrote; results, state and configuration stay",
        _uninstall_options,
    ),
)


def build_parser() -> CommandParser:
    """The command line."""
    parser = CommandParser(
        prog="edge-daemon", description="Label the cell images that an analyzer exports."
    )
    add_common_options(parser)
    add_subcommands(parser, _SUBCOMMANDS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
