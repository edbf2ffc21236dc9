"""`edge-daemon run | once | status | retry | drift | check-config | install | uninstall`."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from daemon.config.config import Config, load_config
from daemon.drift.command import add_arguments as add_drift_arguments
from daemon.drift.command import drift
from daemon.install import install, uninstall
from daemon.install.installed_config import installed_config, installed_place
from daemon.install.place import Place
from daemon.install.sandbox import check_in_sandbox
from daemon.install.site import site_of
from daemon.journal.streams import read_histories
from daemon.journal.summary import midnight_s, read_summary
from daemon.log.journald import logging_to_stderr, open_pseudonyms
from daemon.log.queue import QueuedScreen
from daemon.operator.check_config import check_config
from daemon.operator.retry import add_arguments as add_retry_arguments
from daemon.operator.retry import (
    retry_all,
    retry_images,
    retry_missing,
    retry_older_than_bundle,
    retry_rejected,
)
from daemon.operator.status import status_fields, status_text
from daemon.results.taken_names import left_text
from daemon.service_process import ServiceProcess
from daemon.startup import opened_service
from daemon.supervision.running_daemon import read_running
from daemon.system.memory import use_one_arena
from daemon.system.signals import acting_on_signals
from edge.command.parser import CommandParser, add_common_options
from edge.command.progress import Progress
from edge.command.run import INTERRUPTED, end_process, run_command
from edge.command.values import given_path
from edge.errors import ConfigError, StorageError
from edge.install.files import man_and_completions
from edge.install.steps import apply, describe
from edge.install.systemd import has_systemd
from edge.text.counted import counted
from edge.text.printable import printable, printable_lines

log = logging.getLogger(__name__)


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
    if arguments.config is None:
        arguments.config = installed_config(arguments.instance)
    return load_config(arguments.config)


def _run(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    use_one_arena()
    process = ServiceProcess(arguments.config)
    # Signals are handled until the log's last lines are written.
    with process.acting_on_signals(), logging_to_stderr(config.log_level):
        process.run(config)
    return 0


def _once(arguments: argparse.Namespace) -> int:
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
    config = _config(arguments)
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
    _show(retried.text())
    return 0


def _drift(arguments: argparse.Namespace) -> int:
    for line in drift(_config(arguments), arguments):
        _show(line)
    return 0


def _check_config(arguments: argparse.Namespace) -> int:
    if not arguments.installed:
        for line in check_config(_config(arguments)):
            _show(printable(line))
        return 0
    if arguments.config is not None:
        raise ConfigError("--installed checks the configuration of the unit: leave --config out.")
    return _check_installed(installed_place(arguments.instance))


def _check_installed(place: Place) -> int:
    check = check_in_sandbox(place)
    print(printable_lines(check.out), end="")
    print(printable_lines(check.errors), end="", file=sys.stderr)
    return check.exit_code


def _install(arguments: argparse.Namespace) -> int:
    site = site_of(arguments)
    install.require_root("install", dry_run=arguments.dry_run)
    for step in install.plan(site, man_and_completions(build_parser())):
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
    exit_code = run_command(lambda: _check_installed(place))
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


def build_parser() -> CommandParser:
    """The command line."""
    parser = CommandParser(
        prog="edge-daemon", description="Label the cell images that an analyzer exports."
    )
    add_common_options(parser)
    commands = parser.add_subparsers(required=True, title="commands", metavar="COMMAND")
    run = _add(commands, "run", _run, "label images until stopped")
    run.add_argument(
        "--config", type=given_path, required=True, metavar="FILE", help="the configuration"
    )
    once = _add(commands, "once", _once, "label the images that are there, then end")
    _add_config(once)
    once.add_argument("--json", action="store_true", help="print the summary as JSON")
    status = _add(commands, "status", _status, "show counts and the last rejections")
    _add_config(status)
    status.add_argument("--json", action="store_true", help="print it as JSON")
    retry = _add(commands, "retry", _retry, "label images again that have an outcome")
    _add_config(retry)
    add_retry_arguments(retry)
    shown = _add(
        commands, "drift", _drift, "show how each analyzer's images changed over the last weeks"
    )
    _add_config(shown)
    add_drift_arguments(shown)
    check = _add(commands, "check-config", _check_config, "check everything that a start needs")
    _add_config(check)
    text = "check within the sandbox of the installed service, as root"
    check.add_argument("--installed", action="store_true", help=text)
    text = "install the service and check it; nothing is started"
    install.add_arguments(_add(commands, "install", _install, text))
    text = "stop the service and remove what install wrote; results, state and configuration stay"
    uninstall.add_arguments(_add(commands, "uninstall", _uninstall, text))
    for command in commands.choices.values():
        command.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    text = "the configuration (default: that of the installed service)"
    which.add_argument("--config", type=given_path, metavar="FILE", help=text)
    text = "the installed edge-daemon@NAME, where there are several"
    which.add_argument("--instance", metavar="NAME", help=text)


def _add(
    commands: argparse._SubParsersAction[CommandParser],
    name: str,
    command: Callable[[argparse.Namespace], int],
    description: str,
) -> CommandParser:
    parser = commands.add_parser(name, help=description, description=description)
    parser.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
