"""A laboratory that sends: issued results, an outbox, targets and what was told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from edge.results.document.result import SlideResult
from edge.results.formats.code_map import load_code_map
from edge.results.formats.format import Context, Format, Site
from edge.results.issued.issued import Issued
from edge.results.send.config import SendConfig, Target
from edge.results.send.operator import status_lines
from edge.results.send.outbox.outbox import Outbox
from edge.results.send.sending import Sending
from edge.results.send.targets.mllp import Receiver
from edge.results.settings.slide_config import SlideConfig
from edge.retry.policy import RetryPolicy


def _misfit(result: SlideResult, _context: Context) -> str | None:
    return "the id has a comma, which this format cannot carry" if "," in result.sample_id else None


def _write_text(result: SlideResult, _context: Context) -> bytes:
    return f"{result.sample_id},{result.revision},{result.state}\n".encode()


def _write_message(result: SlideResult, _context: Context) -> bytes:
    header = f"MSH|^~\\&|EDGE|LAB|LIS|LAB|20261127101500+0100||ORU^R01|{result.result_id}|P|2.5.1"
    return f"{header}\rOBR|1||{result.sample_id}\r".encode()


TEXT = Format("text", ".csv", _misfit, _write_text)
MESSAGE = Format("message", ".hl7", _misfit, _write_message)
# Delays that a test can wait for.
HASTY = RetryPolicy(attempts=3, first_delay_s=0.01, max_delay_s=0.02)


def mllp_target(port: int, name: str = "lis", **options: Any) -> Target:
    place = Receiver("127.0.0.1", port, connect_s=2, answer_s=options.pop("answer_s", 5))
    return Target(name, MESSAGE, place, retries=HASTY, **options)


def drop_target(folder: Path, name: str = "drop", **options: Any) -> Target:
    folder.mkdir(exist_ok=True)
    return Target(name, TEXT, folder, retries=HASTY, **options)


class SendingSite:
    """Opened anew for each process that a test plays."""

    def __init__(self, folder: Path, *targets: Target) -> None:
        self.folder = folder
        self.targets = targets
        self.told: list[str] = []
        self.issue: Callable[[], None] = lambda: None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.issued = self._open.enter_context(Issued.open(self.folder))
        self.outbox = self._open.enter_context(Outbox(self.folder))
        config = SendConfig(
            self.folder,
            SlideConfig(self.folder),
            Site(),
            None,
            self.targets,
            poll_s=0.02,
            keep_days=30,
        )
        self.sending = Sending(
            config,
            Context(load_code_map(), Site()),
            self.issued,
            self.outbox,
            issue=lambda: self.issue(),  # noqa: PLW0108 - tests set it later
            tell=self.told.append,
        )
        self._open.callback(self.sending.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def status(self) -> str:
        return "\n".join(status_lines(self.outbox, [target.name for target in self.targets]))
