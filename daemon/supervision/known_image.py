"""A known image on its way, over and over: decoded, labelled, compared, marked in the journal.

Threads that are alive prove nothing. What this one image passes, a patient's image passes.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from daemon.journal.journal import Journal
from daemon.model.current_model import CurrentModel
from daemon.system.clock import Clock
from edge.bundle import Bundle
from edge.errors import BackendError
from edge.files import atomic
from edge.golden import compare_golden, golden_labeller

INTERVAL_S: Final = 2.0
IMAGES_NAME: Final = "golden"


class KnownImage:
    """Sends golden images, in turn. One thread calls `pass_once`, others read `passed_ago_s`."""

    def __init__(
        self,
        current_model: CurrentModel,
        journal: Journal,
        state_dir: Path,
        require_state_dir: Callable[[], None],
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        self._current_model = current_model
        self._journal = journal
        self._require_state_dir = require_state_dir
        # Copies: the bundle's folder may be replaced by a newer one while this model labels.
        self._images = _copy_golden(current_model.model.bundle, state_dir / IMAGES_NAME)
        self._clock = clock
        self._passed_s = clock()
        self._numbers = itertools.count()
        self.step = "nothing yet"

    def passed_ago_s(self) -> float:
        """Seconds since an image last passed the whole path; at first since the start."""
        return self._clock() - self._passed_s

    def pass_once(self) -> None:
        """Send one golden image through.

        Raises:
            BackendError: the device failed, or the label is wrong.
            StorageError: the journal's mark is not durable, or its folder not this daemon's own.
            TransientError: the golden image cannot be read now.
        """
        model = self._current_model.model
        number = next(self._numbers) % len(self._images)
        golden = model.bundle.golden[number]
        self.step = "inference"
        try:
            outcome = golden_labeller(model.bundle, model.session).label(self._images[number])
            compare_golden(model.bundle, golden, outcome, model.session)
        except BackendError as error:
            # Takes the CPU where that is allowed; the next image proves it.
            self._current_model.fail_over(model, error)
            return
        self.step = "journal"
        self._require_state_dir()
        self._journal.check_writable()
        self._passed_s = self._clock()
        self.step = "passed"


def _copy_golden(bundle: Bundle, folder: Path) -> list[Path]:
    """The golden images as files of their own, in the order of the bundle."""
    atomic.make_folder(folder)
    folder.chmod(0o700)
    names = [f"{number:02}{Path(g.path).suffix}" for number, g in enumerate(bundle.golden)]
    contents = [bundle.read(golden.path) for golden in bundle.golden]
    paths = [folder / name for name in names]
    pairs = zip(paths, contents, strict=True)
    atomic.write_files([(p, c) for p, c in pairs if not (p.exists() and p.read_bytes() == c)])
    return paths
