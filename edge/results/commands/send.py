"""`edge-results send`: issues the results of slides and sends them to the LIS."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from edge.command.lines import Lines
from edge.command.values import given_path, one_line
from edge.errors import ConfigError, EdgeError
from edge.failpoints import arm_failpoints
from edge.files.atomic import make_folder
from edge.results.commands.command import Command, Show
from edge.results.formats.code_map import load_code_map
from edge.results.formats.format import Context
from edge.results.formats.shipped.table import FORMATS
from edge.results.issued.database import NAME
from edge.results.issued.issued import Issued
from edge.results.send.config import SendConfig, load_send_config
from edge.results.send.issuing import Issuing
from edge.results.send.operator import give_up, release, status_lines
from edge.results.send.outbox.entry import Stage
from edge.results.send.outbox.file import only_sender, require_outbox
from edge.results.send.outbox.outbox import Outbox
from edge.results.send.sending import Sending
from edge.results.send.untaken import untaken_lines
from edge.results.settings.slide_config import VERIFICATIONS
from edge.system.hangup import Hangup
from edge.system.notifier import Notifier

# Exit code: something was not sent, because a receiver is away or a person must look.
UNSENT: Final = 1


def _add_options(parser: argparse.ArgumentParser) -> None:
    text = "what is read, and what is sent where (docs/sending.md)"
    parser.add_argument("--config", type=given_path, required=True, metavar="FILE", help=text)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--once", action="store_true", help="send what can be sent now, and end")
    what.add_argument("--watch", action="store_true", help="go on until it is stopped")
    what.add_argument("--status", action="store_true", help="show what is held and what waits")
    text = "send a held result again; --status has the numbers"
    what.add_argument("--release", type=_number, metavar="NUMBER", help=text)
    text = "never send a held result; needs --reason"
    what.add_argument("--give-up", type=_number, metavar="NUMBER", help=text)
    parser.add_argument("--reason", type=one_line, metavar="TEXT", help="why a result is given up")


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a result; --status has them")
    return int(text)


def _run(arguments: argparse.Namespace, show: Show) -> int:
    if arguments.reason is not None and arguments.give_up is None:
        raise ConfigError("--reason belongs to --give-up; give both.")
    config = load_send_config(arguments.config, FORMATS)
    if not (arguments.once or arguments.watch):
        return _operate(arguments, config, show)
    # Results must not wait for a person who reads the lines.
    lines = Lines(show)
    for name in arm_failpoints():
        lines(f"failpoint {name} is armed")
    notifier = Notifier()
    if arguments.once:
        with _opened(config, lines, notifier) as sending:
            code = _once(sending, lines)
        lines.require_written()
        return code
    try:
        _watch(arguments.config, config, lines, notifier)
    except KeyboardInterrupt:
        # systemd or a person stops it. What was on its way is sent again at the next start.
        notifier.notify("STOPPING=1")
    return 0


def _watch(path: Path, config: SendConfig, show: Show, notifier: Notifier) -> None:
    """Watch until it is stopped; SIGHUP of systemd has the configuration read again."""
    if not notifier.is_there:
        with _opened(config, show, notifier) as sending:
            sending.watch()
        return
    with Hangup() as hangup, ExitStack() as opened:
        sending = opened.enter_context(_opened(config, show, notifier))
        while True:
            sending.watch(hangup.wait)
            notifier.reloading()
            opened.close()
            new = _read_again(path, opened, show, notifier)
            config, sending = new or (config, opened.enter_context(_opened(config, show, notifier)))


def _read_again(
    path: Path, opened: ExitStack, show: Show, notifier: Notifier
) -> tuple[SendConfig, Sending] | None:
    """The new configuration, opened; None if it cannot be used.

    Only opening it shows that: its state_dir may be a place that cannot be written.
    """
    try:
        config = load_send_config(path, FORMATS)
        sending = opened.enter_context(_opened(config, show, notifier))
    except EdgeError as error:
        for line in str(error).splitlines():
            show(f"error: {line}")
        show("the configuration of before is kept, as the new one cannot be used")
        return None
    show("the configuration was read again")
    return config, sending


@contextmanager
def _opened(config: SendConfig, show: Show, notifier: Notifier) -> Iterator[Sending]:
    context = Context(load_code_map(config.codes), config.site)
    own = config.state_dir / VERIFICATIONS
    if config.slides.verifications == own:
        # Nobody named another one: it is no folder to wait for.
        make_folder(own)
    with (
        only_sender(config.state_dir),
        Issued.open(config.state_dir) as issued,
        Outbox(config.state_dir) as outbox,
    ):
        issuing = Issuing(config.slides, issued, show, beat=notifier.beat)
        sending = Sending(
            config, context, issued, outbox, issue=issuing.issue, tell=show, notifier=notifier
        )
        try:
            yield sending
        finally:
            sending.close()


def _once(sending: Sending, show: Lines) -> int:
    unsent = {
        name: {stage: n for stage, n in stages.items() if stage in (Stage.QUEUED, Stage.HELD)}
        for name, stages in sending.once().items()
    }
    for name, stages in unsent.items():
        for stage, count in stages.items():
            show(f"{name}: {count} {stage}; see --status")
    if not show.was_called:
        show("nothing to send; edge-results show --config tells what is incomplete or held")
    return UNSENT if any(unsent.values()) or sending.has_trouble else 0


def _operate(arguments: argparse.Namespace, config: SendConfig, show: Show) -> int:
    require_outbox(config.state_dir)
    with Outbox(config.state_dir) as outbox:
        sent_to = _sent_to(outbox, config)
        if arguments.release is not None:
            entry = release(outbox, arguments.release, sent_to)
            show(f"{entry.target}: released {entry.title}; the running service sends it, or --once")
        elif arguments.give_up is not None:
            entry = give_up(outbox, arguments.give_up, arguments.reason, sent_to)
            show(f"{entry.target}: gave up {entry.title}")
        else:
            lines = list(status_lines(outbox, sent_to))
            if (config.state_dir / NAME).exists():
                with Issued.open(config.state_dir) as issued:
                    lines += untaken_lines(outbox, issued, config.targets)
            show("\n".join(lines))
    return 0


def _sent_to(outbox: Outbox, config: SendConfig) -> list[str]:
    """The targets to which the configuration sends what is queued for them."""
    begun = outbox.begun()
    return [t.name for t in config.targets if t.name not in begun or begun[t.name].kind == t.kind]


SEND: Final = Command(_add_options, _run)
