"""Issues the results of slides as sidecars, manifests and verifications come."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from edge.results.differential.bundle_errors import errors_of_slide, read_bundle_errors
from edge.results.differential.errors import ModelErrors
from edge.results.issued.issued import Issued
from edge.results.reading.problem import Problem
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.send.known_sidecars import SETTLED_S, KnownSidecars
from edge.results.send.mounted import MountedFolders
from edge.results.settings.slide_config import SlideConfig
from edge.results.slides.outcome import SlideReport
from edge.results.slides.settled import Settled
from edge.results.slides.slide_results import slide_results
from edge.sidecar import now

# Every folder is listed and every slide looked at again, whatever the folders' times say.
_WHOLE_EVERY_S: Final = 600.0
# While slides wait, for quiet time or a person, they are looked at so often,
_AGAIN_S: Final = 30.0
# but with many slides only for so small a part of the time.
_MOST_LOAD: Final = 0.05


class Issuing:
    """One tree of sidecars. Where nothing has changed, a look costs one call for each folder."""

    def __init__(
        self,
        config: SlideConfig,
        issued: Issued,
        tell: Callable[[str], None],
        *,
        beat: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the bundles, whose evidence tells the model's errors.

        Args:
            config: where the sidecars are, and what makes slides of them.
            issued: takes the results.
            tell: takes lines for the log, without patient data.
            beat: called before each sidecar is read and before each result, which may take a
                second.
            clock: in seconds.

        Raises:
            BundleError: a bundle is damaged.
        """
        self._config = config
        self._issued = issued
        self._tell = tell
        self._beat = beat
        self._clock = clock
        self._problems: Counter[str] = Counter()
        self._sidecars = KnownSidecars(config.sidecars, self._note_problem, beat=beat, clock=clock)
        self._folders = MountedFolders(config, issued.path.parent)
        self._settled = Settled()
        self._newest = 0
        self._bundles = [read_bundle_errors(path) for path in config.bundles]
        self._whole_s = 0.0
        self._again_s = 0.0
        self._named = [path for path in (config.verifications, config.manifest) if path]
        self._watched = self._named
        self._times: dict[Path, int] = {}
        self._told: tuple[str, ...] = ()
        for line in config.awaited():
            tell(line)

    def issue(self) -> None:
        """Issue what is new.

        Raises:
            StorageError: the sidecars, the images' folder or the issued results cannot be read.
        """
        self._folders.require()
        self._folders.remember()
        began_s = self._clock()
        is_whole = began_s >= self._whole_s
        # A look that fails, as on a full disk, has seen its changes: the next one is a look again.
        again_s, self._again_s = self._again_s, 0.0
        has_changed = self._sidecars.look(whole=is_whole)
        has_changed |= self._settled.verifications_have_changed()
        times = {path: _modified_ns(path) for path in self._watched}
        if not (has_changed or is_whole or times != self._times or began_s >= again_s):
            self._again_s = again_s
            return
        if is_whole or self._issued.newest() != self._newest:
            # The second: another process has issued a result.
            self._settled.clear()
        report = self._report()
        if report.new:
            # A share that went away during the look: what it has was not seen.
            self._folders.require()
        for result in report.new:
            self._issued.add(result)
        self._newest = self._issued.newest()
        self._tell_what_stays(report)
        are_settled = times == self._times
        self._times = {path: times.get(path, _modified_ns(path)) for path in self._watched}
        took_s = self._clock() - began_s
        is_waiting = bool(report.incomplete or report.held)
        pause_s = max(_AGAIN_S, took_s / _MOST_LOAD)
        self._again_s = self._clock() + pause_s if is_waiting else math.inf
        if not are_settled:
            # Another verification may have come within the same step of the folder's time.
            self._again_s = min(self._again_s, self._clock() + SETTLED_S)
        if is_whole:
            self._whole_s = self._clock() + max(_WHOLE_EVERY_S, took_s / _MOST_LOAD)

    def _report(self) -> SlideReport:
        resolvers = self._config.resolvers()
        report = slide_results(
            self._sidecars.cells(),
            resolvers,
            rules=self._config.rules(self._errors),
            history=self._issued,
            now=now(),
            unread=self._sidecars.unread(),
            settled=self._settled,
        )
        # Editing one of these in its place changes no folder's time.
        self._watched = [*self._named, *resolvers.paths()]
        return report

    def _errors(self, cells: Sequence[SidecarCell]) -> ModelErrors:
        self._beat()
        return errors_of_slide(cells, self._bundles)

    def _note_problem(self, problem: Problem) -> None:
        # Without its path, which may hold a sample id.
        self._problems[f"sidecar {problem.code}: {problem.text}"] += 1

    def _tell_what_stays(self, report: SlideReport) -> None:
        """Tell what is held, once for each change."""
        found = Counter(
            f"{'slide' if held.file is None else 'file'} held: {held.reason}"
            for held in report.held
        )
        found.update(f"images of an unknown sample: {u.reason}" for u in report.unidentified)
        lines = [f"{count} x {reason}" for reason, count in sorted(found.items())]
        for line in lines:
            if line not in self._told:
                self._tell(f"{line}; see edge-results show")
        for reason, count in sorted(self._problems.items()):
            self._tell(f"{count} x {reason}; see edge-results verify")
        self._problems.clear()
        self._told = tuple(lines)


def _modified_ns(path: Path) -> int:
    """When a file or folder was changed; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
