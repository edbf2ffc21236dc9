"""Labels a golden image every few seconds, to show that the running service can label.

Proves decode, inference, the label and a durable write to the journal: threads may be alive while
none of these works. It does not go through intake and writes no sidecar.
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
    """Labels golden images in turn. One thread calls `pass_once`, others read `passed_ago_s`."""

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
        # Copies, as the bundle's folder may be replaced while this model labels.
        self._images = _copy_golden(current_model.model.bundle, state_dir / IMAGES_NAME)
        self._clock = clock
        self._passed_s = clock()
        self._numbers = itertools.count()
        self.step = "nothing yet"

    def passed_ago_s(self) -> float:
        """Seconds since a golden image last passed; before that, since the start."""
        return self._clock() - self._passed_s

    def pass_once(self) -> None:
        """Label one golden image, then write to the journal.

        Raises:
            BackendError: the device failed, or the label is wrong, and the CPU cannot take over.
            StorageError: the journal cannot be written, or the state folder's lock is lost.
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
            # Switches to the CPU if that is allowed; the next call checks it.
            self._current_model.fail_over(model, error)
            return
        self.step = "journal"
        self._require_state_dir()
        self._journal.check_writable()
        self._passed_s = self._clock()
        self.step = "passed"


def _copy_golden(bundle: Bundle, folder: Path) -> list[Path]:
    """Copy the golden images to `folder`; returns their paths in the bundle's order."""
    atomic.make_folder(folder)
    folder.chmod(0o700)
    names = [f"{number:02}{Path(g.path).suffix}" for number, g in enumerate(bundle.golden)]
    contents = [bundle.read(golden.path) for golden in bundle.golden]
    paths = [folder / name for name in names]
    pairs = zip(paths, contents, strict=True)
    atomic.write_files([(p, c) for p, c in pairs if not (p.exists() and p.read_bytes() == c)])
    return paths
