"""The configuration of what is sent where: one YAML file, checked as a whole before anything."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from edge.errors import ConfigError
from edge.files.strict_block import Block
from edge.files.yaml_file import read_yaml
from edge.results.document.result import State
from edge.results.formats.format import Format, Site
from edge.results.send.targets.mllp import Receiver
from edge.results.settings.review_config import ReviewConfig, read_review_config
from edge.results.settings.slide_config import VERIFICATIONS, SlideConfig, read_slide_config
from edge.retry.policy import RetryPolicy
from edge.retry.reading import read_retry_policy
from edge.text.nearest import nearest
from edge.text.printable import printable
from edge.text.rfc3339 import moment_of

# A result that nobody verified leaves only where a laboratory has asked for it.
DEFAULT_STATES: Final = (State.FINAL, State.CORRECTED)
# A message that its receiver fails so often is held.
RETRIES: Final = RetryPolicy(attempts=8, first_delay_s=5.0, max_delay_s=300.0)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_ADDRESS: Final = re.compile(
    r"(\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]\s]+)):(?P<port>[0-9]{1,5})"
)
# The unit's WatchdogSec= is longer: an attempt must end before systemd takes it for a hang.
LONGEST_ANSWER_S: Final = 120.0
LONGEST_CONNECT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """One receiver: a drop folder, or a host that takes HL7 over MLLP.

    Attributes:
        states: the results that go there; others do not.
        pause_s: between two messages, for receivers that need it.
        since: a new target gets what is issued from now on, and with this also what was completed
            since.
    """

    name: str
    format: Format
    place: Path | Receiver
    states: tuple[State, ...] = DEFAULT_STATES
    retries: RetryPolicy = RETRIES
    pause_s: float = 0.0
    since: datetime | None = None

    @property
    def kind(self) -> str:
        """What is queued for it, and by which way it goes."""
        way = "as files" if isinstance(self.place, Path) else "over MLLP"
        return f"{self.format.name} {way}"


@dataclass(frozen=True, slots=True)
class SendConfig:
    """The whole configuration; paths are absolute."""

    state_dir: Path
    slides: SlideConfig
    site: Site
    codes: Path | None
    targets: tuple[Target, ...]
    poll_s: float
    keep_days: float
    review: ReviewConfig = field(default_factory=ReviewConfig)


def load_send_config(
    path: Path,
    formats: Mapping[str, Format],
    *,
    base: Path | None = None,
    needs_targets: bool = True,
) -> SendConfig:
    """Read and check a configuration file.

    Args:
        path: of the file.
        formats: by name.
        base: what relative paths are relative to; None: the file's folder.
        needs_targets: whether there must be a target; who only looks and signs needs none.

    Raises:
        ConfigError: one line for every problem found.
    """
    problems: list[str] = []
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds no keys; see docs/sending.md for an example.")
    block = Block(values, "", problems)
    config = _read(block, base or path.absolute().parent, formats, needs_targets=needs_targets)
    _check_places(config, problems)
    if problems:
        raise ConfigError("\n".join(printable(f"{path}: {problem}") for problem in problems))
    return config


def _read(
    block: Block, base: Path, formats: Mapping[str, Format], *, needs_targets: bool
) -> SendConfig:
    codes = block.text("codes")
    state_dir = block.path("state_dir", base)
    slides = read_slide_config(
        block.block("sidecars"), block.block("slides"), block.block("limits"), base
    )
    config = SendConfig(
        state_dir=state_dir,
        slides=replace(slides, verifications=slides.verifications or state_dir / VERIFICATIONS),
        site=_read_site(block.block("site")),
        codes=Path(os.path.normpath(base / codes)) if codes else None,
        targets=tuple(
            _read_target(one, base, formats)
            for one in block.blocks("targets", required=needs_targets)
        ),
        poll_s=block.number("poll_s", 10.0, low=0.1, high=3600),
        keep_days=block.number("keep_days", 30.0, low=1, high=36500),
        review=read_review_config(block.block("review"), base),
    )
    block.close()
    return config


def _read_site(block: Block) -> Site:
    usual = Site()
    site = Site(
        application=block.text("application", usual.application) or usual.application,
        facility=block.text("facility", usual.facility) or usual.facility,
        receiver_application=block.text("receiver_application") or "",
        receiver_facility=block.text("receiver_facility") or "",
        device=block.text("device", usual.device) or usual.device,
    )
    block.close()
    return site


def _read_target(block: Block, base: Path, formats: Mapping[str, Format]) -> Target:
    name = block.text("name", required=True) or "?"
    if name != "?" and not _NAME.fullmatch(name):
        block.note("name", f"is {name!r}; give letters, digits and . _ - alone, at most 40")
    before = len(block.problems)
    chosen = block.choice("format", None, tuple(formats))
    if chosen is None and len(block.problems) == before:
        block.note("format", f"is missing; give one of {', '.join(formats)}")
    format_ = formats[chosen or next(iter(formats))]
    target = Target(
        name,
        format_,
        _read_place(block, base, format_),
        _read_states(block),
        read_retry_policy(block.block("retry"), RETRIES, count="failures"),
        block.number("pause_s", 0.0, low=0, high=60),
        _read_since(block),
    )
    block.close()
    return target


def _read_place(block: Block, base: Path, format_: Format) -> Path | Receiver:
    drop, mllp = block.text("drop"), block.text("mllp")
    connect_s = block.number("connect_s", 10.0, low=0.1, high=LONGEST_CONNECT_S)
    answer_s = block.number("answer_s", 30.0, low=0.1, high=LONGEST_ANSWER_S)
    if (drop is None) == (mllp is None):
        block.note("drop", "and mllp: give one of them, a folder or HOST:PORT")
    if mllp is None:
        return Path(os.path.normpath(base / (drop or "?")))
    if format_.suffix != ".hl7":
        block.note("mllp", f"carries HL7 messages, and {format_.name} is none; give drop: FOLDER")
    address = _ADDRESS.fullmatch(mllp)
    if address is None or not 0 < int(address["port"]) < 65536:
        block.note("mllp", f"is {mllp!r}; give HOST:PORT, such as 192.0.2.10:6661")
        return Receiver("?", 1)
    return Receiver(address["v6"] or address["host"], int(address["port"]), connect_s, answer_s)


def _read_states(block: Block) -> tuple[State, ...]:
    given = block.texts("states", DEFAULT_STATES)
    unknown = [state for state in given if state not in list(State)]
    if unknown:
        near = nearest(unknown[0], map(str, State))
        hint = f"did you mean {near!r}" if near else f"give some of {', '.join(State)}"
        block.note("states", f"has {unknown[0]!r}; {hint}")
        return DEFAULT_STATES
    states = tuple(State(state) for state in given)
    if (State.FINAL in states) != (State.CORRECTED in states):
        # The LIS would keep a result that was corrected, or get only what was corrected.
        block.note("states", "has one of final and corrected; give both or none")
    return states


def _read_since(block: Block) -> datetime | None:
    text = block.text("since")
    if text is None:
        return None
    try:
        return moment_of(text)
    except ValueError:
        block.note("since", f"is {text!r}; give a time with offset, as 2026-11-27T00:00:00+01:00")
        return None


def _check_places(config: SendConfig, problems: list[str]) -> None:
    names = [target.name for target in config.targets]
    problems.extend(
        f"targets[{i}].name is {name!r} again; the outbox knows targets by name."
        for i, name in enumerate(names)
        if name in names[:i]
    )
    # As the importer sees them: two paths may lead to one folder through links.
    drops = [(i, _real(t.place)) for i, t in enumerate(config.targets) if isinstance(t.place, Path)]
    read = [(key, _real(folder)) for key, folder in config.slides.folders]
    state_dir = _real(config.state_dir)
    for i, folder in drops:
        others = read + [(f"targets[{j}].drop", other) for j, other in drops if j < i]
        problems.extend(
            f"targets[{i}].drop and {key} are one folder; an importer takes every file in it."
            if folder == other
            else f"targets[{i}].drop and {key} contain each other; an importer takes every file "
            "in it."
            for key, other in others
            if folder.is_relative_to(other) or other.is_relative_to(folder)
        )
        if state_dir.is_relative_to(folder):
            problems.append(
                f"state_dir is inside targets[{i}].drop, where an importer would see it."
            )


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
