"""Turns claimed images into verdicts: labels a batch and decides what happens to each image."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

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
from edge.retry.policy import RetryPolicy
from edge.sidecar import ModelFacts

LabelBatch: TypeAlias = Callable[[list[Path]], tuple[list[Outcome | TransientError], ModelFacts]]

# After so many ends of the process with the same image claimed, the image is rejected as the cause:
# power cuts and kills do not hit one image as often. Until then it is tried alone and last.
INTERRUPTION_LIMIT: Final = 20


@dataclass(frozen=True, slots=True)
class GracePeriod:
    """How long an incomplete or unreadable file waits before it gets an outcome.

    Attributes:
        seconds: an incomplete file is rejected when it was unchanged for so long.
        trust_mtime: count this time from the file's mtime. `once` does, so as not to wait for old
            files. The service does not: with a wrong clock it would reject a file that is still
            being copied.
        recheck_s: longest time between two attempts at a file that this user may not read, that
            another program holds, or whose share has errors: such files wait without limit. None,
            for `once`: the first kind is rejected, the others wait `seconds`, then for a later run.
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
        grace: GracePeriod,
        comparison: Comparison,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        self._label_batch = label_batch
        self._watch_folders = watch_folders
        self._policy = policy
        self._grace = grace
        self._comparison = comparison
        self._clock = clock

    def label(self, images: list[ClaimedImage]) -> list[Verdict]:
        """Label images; returns a verdict for each, in no particular order.

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
        """Try the image again later, or reject it after the last attempt.

        An image that already has an outcome is tried without limit.
        """
        failures = image.attempts + 1
        if self._policy.is_exhausted(failures) and image.past_outcome is None:
            message = f"could not be labelled in {failures} attempts: {cause}"
            return Finished(image, rejected(RejectReason.RETRIES_EXHAUSTED, message, ImageFacts()))
        return Postponed(image, self._policy.delay_s(failures), failures, cause)

    def _judge_early(self, image: ClaimedImage) -> Verdict | None:
        """The verdict on an image that need not be inferred; None: it must be."""
        return self._refuse(image) or self._comparison.of_bytes(image)

    def _refuse(self, image: ClaimedImage) -> Finished | Dropped | None:
        """The verdict on an image that must not be opened; None: it may be."""
        if not self._watch_folder(image).has_image(image.version.path):
            # Excluded by a configuration that is newer than its row.
            return Dropped(image, "gone")
        if image.interruptions >= INTERRUPTION_LIMIT:
            message = f"the daemon ended {image.interruptions} times while it labelled this image"
            return Finished(image, rejected(RejectReason.RETRIES_EXHAUSTED, message, ImageFacts()))
        # A link may lead out of the export, or to an image that is labelled already.
        return _reject_link(image) if _is_link(self._path(image)) else None

    def _judge(
        self, image: ClaimedImage, result: Outcome | TransientError, model: ModelFacts
    ) -> Verdict:
        if isinstance(result, TransientError):
            return self._judge_failure(image, result)
        # The file was read after it was recorded. Only if it is the same version before and after
        # is the outcome this version's.
        if self._watch_folder(image).look(image.version.path) != image.version:
            return Dropped(image, "superseded")
        if found := self._comparison.of_outcome(image, result):
            return found
        delay_s = self._delay_s(image, result.reason)
        if delay_s is None and image.past_outcome and result.reason is RejectReason.UNREADABLE:
            # Unreadable, so it cannot be compared: the outcome is kept.
            return Unchanged(image)
        if delay_s is None:
            return Finished(image, result, model)
        return Postponed(image, delay_s, image.attempts, str(result.reason), self._since_s(image))

    def _delay_s(self, image: ClaimedImage, reason: RejectReason | None) -> float | None:
        """Seconds until the next attempt; None: the outcome is final."""
        if reason in UNFINISHED and not self._is_grace_over(image):
            return self._grace.seconds
        if reason is RejectReason.UNREADABLE and self._grace.recheck_s is not None:
            return self._growing_delay_s(image, self._grace.recheck_s)
        return None

    def _growing_delay_s(self, image: ClaimedImage, longest_s: float) -> float:
        """A delay as long as the time waited so far, so that each wait doubles the total."""
        waited_s = self._clock() - self._since_s(image)
        return min(max(self._policy.first_delay_s, waited_s), longest_s)

    def _since_s(self, image: ClaimedImage) -> float:
        since_s = image.unfinished_since_s
        return self._clock() if since_s is None else since_s

    def _judge_failure(self, image: ClaimedImage, error: TransientError) -> Verdict:
        cause = error.__cause__
        watch_folder = self._watch_folder(image)
        if watch_folder.identity() is None:
            # The whole share is away: no attempt of this image is counted.
            return Postponed(image, self._policy.first_delay_s, image.attempts, "folder is away")
        if isinstance(cause, FileNotFoundError | NotADirectoryError):
            return Dropped(image, "gone")
        # The error's own text holds the image's path.
        text = cause.strerror if isinstance(cause, OSError) else None
        if isinstance(cause, OSError) and cause.errno in OUT_OF_RESOURCES:
            # The process lacks memory or descriptors: no attempt of this image is counted.
            delay_s = self._policy.first_delay_s
            return Postponed(image, delay_s, image.attempts, text or type(error).__name__)
        if isinstance(cause, OSError) and (reason := transient_cause(cause, watch_folder.path)):
            return self._postpone(image, reason)
        return self.retry(image, text or type(error).__name__)

    def _postpone(self, image: ClaimedImage, cause: str) -> Postponed:
        """Postpone an image for a cause outside it; the attempt is not counted."""
        since_s, grace = self._since_s(image), self._grace
        delay_s = self._growing_delay_s(image, grace.recheck_s or grace.seconds)
        if grace.recheck_s is None and self._clock() - since_s >= grace.seconds:
            delay_s = LATER_RUN
        return Postponed(image, delay_s, image.attempts, cause, since_s)

    def _is_grace_over(self, image: ClaimedImage) -> bool:
        if image.unfinished_since_s is not None:
            # 0.99, as the delay may end a rounding error before the grace period.
            return self._clock() - image.unfinished_since_s >= self._grace.seconds * 0.99
        age_s = time.time() - image.version.mtime_ns / 1e9
        return self._grace.trust_mtime and age_s >= self._grace.seconds

    def _watch_folder(self, image: ClaimedImage) -> WatchFolder:
        return self._watch_folders[image.version.folder_id]

    def _path(self, image: ClaimedImage) -> Path:
        return self._watch_folder(image).image(image.version.path)


def _is_link(path: Path) -> bool:
    # Unlike Path.is_symlink, this raises nothing if the folder may not be searched.
    return os.path.islink(path)  # noqa: PTH114


def _reject_link(image: ClaimedImage) -> Finished:
    message = "a symbolic link; only files are labelled"
    return Finished(image, rejected(RejectReason.NOT_A_FILE, message, ImageFacts()))
