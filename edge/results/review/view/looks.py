"""What the folders hold now: the slides, and what stands in the way of each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.results.differential.errors import ModelErrors
from edge.results.document.result import SlideResult, slide_key
from edge.results.issued.issued import Issued
from edge.results.send.known_sidecars import SETTLED_S, KnownSidecars
from edge.results.send.mounted import MountedFolders
from edge.results.settings.slide_config import SlideConfig
from edge.results.slides.outcome import Held, Note, SlideReport, UnidentifiedSample
from edge.results.slides.settled import Settled
from edge.results.slides.slide import Slide
from edge.results.slides.slide_results import slide_results
from edge.sidecar import now

# Between two looks at the folders at least, and of the time at most this part.
_PAUSE_S: Final = 2.0
_MOST_LOAD: Final = 0.1
# Folders on some shares keep their time when a file comes: so often all are listed.
_WHOLE_EVERY_S: Final = 600.0
_NO_TABLE: Final = ModelErrors(missing="none: asked for when a slide is opened")


@dataclass(frozen=True, slots=True)
class Standing:
    """One slide at the last look.

    Attributes:
        waits_for: why it is not complete; None if it is.
        holds: why it must not leave, whatever is verified.
        asks: why it must be verified anew.
        drafted: the next result, if there is one to issue.
    """

    slide: Slide
    waits_for: str | None = None
    holds: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    drafted: SlideResult | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """All slides at the last look; never changed, so that other threads may read it."""

    standings: Mapping[str, Standing] = field(default_factory=dict)
    unidentified: tuple[UnidentifiedSample, ...] = ()
    notes: tuple[Note, ...] = ()


class Looks:
    """Looks at the folders when somebody asks and the last look is old. Used by one thread."""

    def __init__(
        self,
        config: SlideConfig,
        issued: Issued,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._issued = issued
        self._clock = clock
        # Of files that are no sidecars `edge-results verify` tells.
        self._sidecars = KnownSidecars(config.sidecars, lambda _problem: None, clock=clock)
        self._folders = MountedFolders(config, issued.path.parent)
        self._settled = Settled()
        self._newest = -1
        self._named = [path for path in (config.verifications, config.manifest) if path]
        self._watched: Sequence[Path] = self._named
        self._times: Mapping[Path, int] = {}
        self._next_s = -math.inf
        self._again_s = -math.inf
        self._whole_s = -math.inf
        self.last = Look()

    def look(self, *, is_urgent: bool = False) -> Look:
        """What is there.

        Args:
            is_urgent: look for changes now, although the last look was just before, as for a
                signature.

        Raises:
            ConfigError: the folder is not there.
            StorageError: it cannot be read, its share is away, or the issued results cannot be
                read. The last look stays.
        """
        began_s = self._clock()
        if not is_urgent and began_s < self._next_s:
            return self.last
        self._folders.require()
        is_whole = began_s >= self._whole_s
        has_changed = self._sidecars.look(whole=is_whole)
        has_changed |= self._settled.verifications_have_changed()
        if is_whole:
            took_s = self._clock() - began_s
            self._whole_s = self._clock() + max(_WHOLE_EVERY_S, took_s / _MOST_LOAD)
        newest, times = self._issued.newest(), _times_of(self._watched)
        is_due = began_s >= self._again_s
        if has_changed or is_due or newest != self._newest or times != self._times:
            self._gather(newest, times)
        self._next_s = self._clock() + _PAUSE_S
        return self.last

    def forget(self) -> None:
        """Decide about all slides anew at the next call: something was written."""
        self._next_s = self._again_s = -math.inf

    def _gather(self, newest: int, times: Mapping[Path, int]) -> None:
        """Make slides of what was read; `times` are of before."""
        began_s = self._clock()
        if newest != self._newest:
            self._settled.clear()
        resolvers = self._config.resolvers()
        report = slide_results(
            self._sidecars.cells(),
            resolvers,
            rules=self._config.rules(lambda _cells: _NO_TABLE),
            history=self._issued,
            now=now(),
            unread=self._sidecars.unread(),
            settled=self._settled,
        )
        self._newest = newest
        self.last = _look_of(report)
        # Editing one of these in its place changes no folder's time.
        self._watched = [*self._named, *resolvers.paths()]
        are_settled = times == self._times
        now_there = _times_of(self._watched)
        self._times = {path: times.get(path, found) for path, found in now_there.items()}
        # A slide becomes complete by time, too.
        took_s = self._clock() - began_s
        is_waiting = bool(report.incomplete or report.held)
        pause_s = max(_PAUSE_S, took_s / _MOST_LOAD)
        self._again_s = self._clock() + pause_s if is_waiting else math.inf
        if not are_settled:
            # Another verification may have come within the same step of the folder's time.
            self._again_s = min(self._again_s, self._clock() + SETTLED_S)


def _times_of(paths: Sequence[Path]) -> dict[Path, int]:
    """When files or folders were changed, in nanoseconds; 0 for what is not there."""
    found = {}
    for path in paths:
        try:
            found[path] = path.stat().st_mtime_ns
        except OSError:
            found[path] = 0
    return found


def _look_of(report: SlideReport) -> Look:
    waiting = {one.so_far.slide_key: one.reason for one in report.incomplete}
    drafted = {one.slide_key: one for one in report.new}
    holds, asks = _held(report.held)
    return Look(
        standings={
            slide.key: Standing(
                slide,
                waiting.get(slide.key),
                tuple(holds.get(slide.key, ())),
                tuple(asks.get(slide.key, ())),
                drafted.get(slide.key),
            )
            for slide in report.slides
        },
        unidentified=report.unidentified,
        notes=report.notes,
    )


def _held(held: Sequence[Held]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Reasons by slide: those that stay, and those that a verification ends."""
    holds: dict[str, list[str]] = {}
    asks: dict[str, list[str]] = {}
    for one in held:
        if one.sample_id is not None:
            reasons = asks if one.asks_to_verify else holds
            reasons.setdefault(slide_key(one.sample_id, one.slide_id), []).append(one.reason)
    return holds, asks
