"""From claimed images to verdicts: label a batch and judge what came of each image."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from daemon.config.retry_policy import RetryPolicy
from daemon.image.comparison import Comparison
from daemon.image.reading_errors import OUT_OF_RESOURCES, transient_cause
from daemon.image.records import (
    LATER_RUN,
    UNFINISHED,
    ClaimedImage,
    Dropped,
    Finished,
    Postponed,
    Unchanged,
    Verdict,
)
from daemon.image.watch_folder import WatchFolder
from daemon.system.clock import Clock
from edge.errors import RejectReason, TransientError
from edge.labeller import ImageFacts, Outcome, rejected
from edge.sidecar import ModelFacts

LabelBatch: TypeAlias = Callable[[list[Path]], tuple[list[Outcome | TransientError], ModelFacts]]

# An image that ends the process whenever it is opened is tried alone and after all others. After
# so many ends it is the cause; power cuts and kills do not meet one image as often.
INTERRUPTION_LIMIT: Final = 20


@dataclass(frozen=True, slots=True)
class GracePeriod:
    """How long a file that is not whole must be unchanged before it is rejected.

    `once` may trust the file's own mtime, so that it need not wait for files of last week. The
    service must not: a wrong clock would reject an image that is still being copied.

    An image that this user may not read waits until he may, and is looked at again after at most
    `recheck_s`: a share's group is set up wrong for all images at once, and neither size nor
    mtime tells when it is mended. So does one that another program holds or whose share has
    trouble. None is for a run that has an end: it rejects the first at once, and leaves the other
    to a later run when it was not to be had for `seconds`.
    """

    seconds: float
    trust_mtime: bool = False
    recheck_s: float | None = None


class LabelJob:
    """Labels claimed images. Safe to call from several threads."""

    def __init__(
        self,
        label_batch: LabelBatch,
        watch_folders: Mapping[int, WatchFolder],
        policy: RetryPolicy,
        patience: GracePeriod,
        comparison: Comparison,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        self._label_batch = label_batch
        self._watch_folders = watch_folders
        self._policy = policy
        self._patience = patience
        self._comparison = comparison
        self._clock = clock

    def label(self, images: list[ClaimedImage]) -> list[Verdict]:
        """A verdict for each image, in no particular order.

        Raises:
            BackendError: the device failed; no image has a verdict.
        """
        early = [found for image in images if (found := self._judge_early(image))]
        judged = {verdict.image.id for verdict in early}
        files = [image for image in images if image.id not in judged]
        results, model = self._label_batch([self._path(image) for image in files])
        pairs = zip(files, results, strict=True)
        return [*early, *(self._judge(image, result, model) for image, result in pairs)]

    def retry(self, image: ClaimedImage, cause: str) -> Finished | Postponed:
        """Try the image again later, or reject it when it was tried often enough.

        One whose outcome stands is tried until it can be compared.
        """
        failures = image.attempts + 1
        if self._policy.is_exhausted(failures) and image.past_outcome is None:
            message = f"could not be labelled in {failures} attempts: {cause}"
            return Finished(image, rejected(RejectReason.RETRIES_EXHAUSTED, message, ImageFacts()))
        return Postponed(image, self._policy.delay_s(failures), failures, cause)

    def _judge_early(self, image: ClaimedImage) -> Verdict | None:
        """The verdict on an image that the model need not see."""
        return self._refuse(image) or self._comparison.of_bytes(image)

    def _refuse(self, image: ClaimedImage) -> Finished | Dropped | None:
        """What becomes of an image that is not to be opened."""
        if not self._watch_folder(image).has_image(image.version.path):
            # The configuration has changed since it was recorded.
            return Dropped(image, "gone")
        if image.interruptions >= INTERRUPTION_LIMIT:
            message = f"the daemon ended {image.interruptions} times with this image in hand"
            return Finished(image, rejected(RejectReason.RETRIES_EXHAUSTED, message, ImageFacts()))
        # An export holds files. A link may lead out of it, or to an image labelled already.
        return _reject_link(image) if _is_link(self._path(image)) else None

    def _judge(
        self, image: ClaimedImage, result: Outcome | TransientError, model: ModelFacts
    ) -> Verdict:
        if isinstance(result, TransientError):
            return self._judge_failure(image, result)
        # The file was read between the claim and this look. Only if both saw the same version
        # is the outcome that version's.
        if self._watch_folder(image).look(image.version.path) != image.version:
            return Dropped(image, "superseded")
        if found := self._comparison.of_outcome(image, result):
            return found
        delay_s = self._delay_s(image, result.reason)
        if delay_s is None and image.past_outcome and result.reason is RejectReason.UNREADABLE:
            # Nobody knows whether its bytes are others.
            return Unchanged(image)
        if delay_s is None:
            return Finished(image, result, model)
        return Postponed(image, delay_s, image.attempts, str(result.reason), self._since_s(image))

    def _delay_s(self, image: ClaimedImage, reason: RejectReason | None) -> float | None:
        """How long the image waits before it is looked at again; None: it has its outcome."""
        if reason in UNFINISHED and not self._is_grace_over(image):
            return self._patience.seconds
        if reason is RejectReason.UNREADABLE and self._patience.recheck_s is not None:
            return self._growing_delay_s(image, self._patience.recheck_s)
        return None

    def _growing_delay_s(self, image: ClaimedImage, longest_s: float) -> float:
        """As long again as the image has waited already."""
        waited_s = self._clock() - self._since_s(image)
        return min(max(self._policy.first_delay_s, waited_s), longest_s)

    def _since_s(self, image: ClaimedImage) -> float:
        since_s = image.unfinished_since_s
        return self._clock() if since_s is None else since_s

    def _judge_failure(self, image: ClaimedImage, error: TransientError) -> Verdict:
        cause = error.__cause__
        watch_folder = self._watch_folder(image)
        if watch_folder.identity() is None:
            # The share is away and all of its images with it: none of them has failed.
            return Postponed(image, self._policy.first_delay_s, image.attempts, "folder is away")
        if isinstance(cause, FileNotFoundError | NotADirectoryError):
            return Dropped(image, "gone")
        # The error's own text holds the image's path.
        text = cause.strerror if isinstance(cause, OSError) else None
        if isinstance(cause, OSError) and cause.errno in OUT_OF_RESOURCES:
            # The process lacks something, not the image.
            delay_s = self._policy.first_delay_s
            return Postponed(image, delay_s, image.attempts, text or type(error).__name__)
        if isinstance(cause, OSError) and (who := transient_cause(cause, watch_folder.path)):
            return self._wait_for(image, who)
        return self.retry(image, text or type(error).__name__)

    def _wait_for(self, image: ClaimedImage, cause: str) -> Postponed:
        """Put off an image that is not to be had now, whatever the number of tries."""
        since_s, patience = self._since_s(image), self._patience
        delay_s = self._growing_delay_s(image, patience.recheck_s or patience.seconds)
        if patience.recheck_s is None and self._clock() - since_s >= patience.seconds:
            delay_s = LATER_RUN
        return Postponed(image, delay_s, image.attempts, cause, since_s)

    def _is_grace_over(self, image: ClaimedImage) -> bool:
        if image.unfinished_since_s is not None:
            # The delay ends a hair before the patience in floating point.
            return self._clock() - image.unfinished_since_s >= self._patience.seconds * 0.99
        age_s = time.time() - image.version.mtime_ns / 1e9
        return self._patience.trust_mtime and age_s >= self._patience.seconds

    def _watch_folder(self, image: ClaimedImage) -> WatchFolder:
        return self._watch_folders[image.version.folder_id]

    def _path(self, image: ClaimedImage) -> Path:
        return self._watch_folder(image).image(image.version.path)


def _is_link(path: Path) -> bool:
    # Unlike Path.is_symlink, without an exception where the folder cannot be searched.
    return os.path.islink(path)  # noqa: PTH114


def _reject_link(image: ClaimedImage) -> Finished:
    message = "a symbolic link; only files are labelled"
    return Finished(image, rejected(RejectReason.NOT_A_FILE, message, ImageFacts()))
