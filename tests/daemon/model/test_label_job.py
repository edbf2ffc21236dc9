"""Tests for daemon.model.label_job: what becomes of an image that is not as it should be."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.image.comparison import Comparison
from daemon.image.missing_sidecars import has_sidecars
from daemon.image.records import ClaimedImage, Dropped, Finished, ImageVersion, Postponed, Verdict
from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.model.label_job import INTERRUPTION_LIMIT, GracePeriod, LabelJob
from edge.errors import BackendError, RejectReason
from edge.image_files.limits import ImageLimits
from edge.labeller import Labeller
from edge.preprocess import InputSpec
from edge.retry.policy import RetryPolicy
from edge.session import Inferred
from edge.sidecar import ModelFacts
from edge.status import Status
from tests.support.images import Jpeg

CLASSES = ("red", "green", "blue")
SPEC = InputSpec(16, 16, "rgb", "area", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


class FakeSession:
    """Logits are the mean colour, as the small bundle's network has it."""

    backend = "fake"
    precision = "fp32"
    graph = "model.fp32.onnx"
    max_batch = 8
    error: Exception | None = None
    before_infer: Callable[[], object] = staticmethod(lambda: None)

    def infer(self, images: NDArray[np.uint8]) -> Inferred:
        self.before_infer()
        if self.error:
            raise self.error
        return Inferred(np.asarray(images.mean(axis=(1, 2)) * 0.1, np.float32))

    def close(self) -> None:
        pass


FACTS = ModelFacts("discs", "1", "0" * 64, "fp32", "fake", "model.fp32.onnx", CLASSES)


class Bench:
    """A watch folder, a job, and a clock to turn."""

    def __init__(
        self, folder: Path, *, trust_mtime: bool = False, recheck_s: float | None = None
    ) -> None:
        self.folder = folder
        self.now_s = 1000.0
        self.session = FakeSession()
        labeller = Labeller(self.session, classes=CLASSES, spec=SPEC, unidentified_below=0.5)
        self.root = WatchFolder(1, folder, folder, names_regex(("*.jpg",)))
        policy = RetryPolicy(attempts=3, first_delay_s=1.0, max_delay_s=60.0)
        patience = GracePeriod(20.0, trust_mtime=trust_mtime, recheck_s=recheck_s)
        roots = {1: self.root}
        self.job = LabelJob(
            lambda paths: (labeller.label_batch(paths), FACTS),
            roots,
            policy,
            patience,
            Comparison(roots, ImageLimits(), self.has_sidecars, 1.0),
            clock=lambda: self.now_s,
        )

    def has_sidecars(self, target: Path) -> bool:
        return has_sidecars(target, ("json",))

    def claim(self, name: str, content: bytes, **facts: float) -> ClaimedImage:
        (self.folder / name).write_bytes(content)
        version = self.root.look(name.encode())
        assert version is not None
        return ClaimedImage(1, version, **facts)  # type: ignore[arg-type]

    def verdict(self, image: ClaimedImage) -> Verdict:
        (verdict,) = self.job.label([image])
        return verdict


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tmp_path / "export"
    folder.mkdir()
    return Bench(folder)


def reason_of(verdict: Verdict) -> RejectReason | None:
    assert isinstance(verdict, Finished)
    return verdict.outcome.reason


def test_label_whole_images_get_their_labels(bench: Bench, colour_jpeg: Jpeg) -> None:
    images = [bench.claim(f"{name}.jpg", colour_jpeg(name)) for name in CLASSES]
    verdicts = bench.job.label(images)
    assert [v.outcome.decision.label for v in verdicts] == list(CLASSES)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\xff\xd8", "unsupported_format"),
        (bytes(4000), "truncated"),
        (b"\xff\xd8\xff\xe0half of it", "truncated"),
    ],
)
def test_label_unfinished_image_is_looked_at_again_before_it_is_rejected(
    bench: Bench, content: bytes, reason: str
) -> None:
    image = bench.claim("a.jpg", content)
    first = bench.verdict(image)
    assert first == Postponed(image, 20.0, 0, reason, 1000.0)
    bench.now_s += 20.0
    later = ClaimedImage(1, image.version, 0, 1000.0)
    assert reason_of(bench.verdict(later)) == reason


def test_label_old_unfinished_image_is_rejected_at_once_where_mtime_is_trusted(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, trust_mtime=True)
    fresh = bench.claim("a.jpg", b"\xff\xd8\xff half")
    assert isinstance(bench.verdict(fresh), Postponed)
    os.utime(tmp_path / "a.jpg", (time.time() - 30, time.time() - 30))
    version = bench.root.look(b"a.jpg")
    assert version is not None
    assert reason_of(bench.verdict(ClaimedImage(1, version))) == "truncated"


def test_label_image_that_cannot_be_labelled_is_rejected_at_once(
    bench: Bench, colour_jpeg: Jpeg
) -> None:
    image = bench.claim("a.jpg", colour_jpeg("red", side_px=16))
    assert reason_of(bench.verdict(image)) == "too_small"


def test_label_image_that_changed_while_it_was_labelled_is_superseded(
    bench: Bench, colour_jpeg: Jpeg
) -> None:
    image = bench.claim("a.jpg", colour_jpeg("red"))
    new = colour_jpeg("blue")
    bench.session.before_infer = lambda: (bench.folder / "a.jpg").write_bytes(new)
    assert bench.verdict(image) == Dropped(image, "superseded")


def test_label_image_that_is_gone_has_no_outcome(bench: Bench, colour_jpeg: Jpeg) -> None:
    gone = bench.claim("a.jpg", colour_jpeg())
    (bench.folder / "a.jpg").unlink()
    here = bench.claim("b.jpg", colour_jpeg("green"))
    verdicts = bench.job.label([gone, here])
    assert Dropped(gone, "gone") in verdicts
    assert any(isinstance(v, Finished) and v.outcome.status is Status.LABELLED for v in verdicts)


def test_label_image_whose_watch_folder_is_away_waits_without_an_attempt(
    bench: Bench, colour_jpeg: Jpeg
) -> None:
    image = bench.claim("a.jpg", colour_jpeg())
    bench.folder.rename(bench.folder.with_name("unmounted"))
    assert bench.verdict(image) == Postponed(image, 1.0, 0, "folder is away")


@pytest.mark.usefixtures("_no_superuser")
def test_label_image_without_permission_waits_ever_longer_and_is_labelled_when_it_has_it(
    tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    bench = Bench(tmp_path, recheck_s=30.0)
    image = bench.claim("a.jpg", colour_jpeg("blue"))
    path = tmp_path / "a.jpg"
    path.chmod(0)
    assert bench.verdict(image) == Postponed(image, 1.0, 0, "unreadable", 1000.0)
    later = ClaimedImage(1, image.version, 0, 1000.0)
    for waited_s, delay_s in ((8.0, 8.0), (500.0, 30.0)):
        bench.now_s = 1000.0 + waited_s
        assert bench.verdict(later) == Postponed(later, delay_s, 0, "unreadable", 1000.0)
    path.chmod(0o600)
    verdict = bench.verdict(later)
    assert isinstance(verdict, Finished)
    assert verdict.outcome.status is Status.LABELLED


@pytest.mark.usefixtures("_no_superuser")
def test_label_image_without_permission_is_rejected_where_the_run_has_an_end(
    bench: Bench, colour_jpeg: Jpeg
) -> None:
    image = bench.claim("a.jpg", colour_jpeg())
    (bench.folder / "a.jpg").chmod(0)
    assert reason_of(bench.verdict(image)) == "unreadable"


def test_label_unreadable_storage_is_tried_again_then_rejected(bench: Bench) -> None:
    # A name longer than the file system allows fails with an error that is no missing file.
    version = ImageVersion(1, b"x" * 300 + b".jpg", 1, 1)
    first = bench.verdict(ClaimedImage(1, version))
    assert first == Postponed(ClaimedImage(1, version), 1.0, 1, "File name too long")
    last = bench.verdict(ClaimedImage(1, version, 2))
    assert reason_of(last) == "retries_exhausted"


def test_label_link_is_rejected_and_not_followed(
    bench: Bench, tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    (tmp_path / "outside.jpg").write_bytes(colour_jpeg())
    (bench.folder / "a.jpg").symlink_to(tmp_path / "outside.jpg")
    version = bench.root.look(b"a.jpg")
    assert version is not None
    assert reason_of(bench.verdict(ClaimedImage(1, version))) == "not_a_file"


def test_label_fifo_is_rejected(bench: Bench) -> None:
    os.mkfifo(bench.folder / "a.jpg")
    version = bench.root.look(b"a.jpg")
    assert version is not None
    assert reason_of(bench.verdict(ClaimedImage(1, version))) == "not_a_file"


def test_label_device_failure_leaves_images_without_a_verdict(
    bench: Bench, colour_jpeg: Jpeg
) -> None:
    image = bench.claim("a.jpg", colour_jpeg())
    bench.session.error = BackendError("device lost")
    with pytest.raises(BackendError):
        bench.job.label([image])
    bench.session.error = None
    assert isinstance(bench.verdict(image), Finished)


def test_label_of_an_image_that_ended_the_daemon_over_and_over_is_a_rejection_unopened(
    bench: Bench, colour_jpeg: Jpeg
) -> None:
    image = bench.claim("a.jpg", colour_jpeg("red"), interruptions=INTERRUPTION_LIMIT)
    bench.session.error = AssertionError("it was opened")
    verdict = bench.verdict(image)
    assert isinstance(verdict, Finished)
    assert verdict.outcome.reason is RejectReason.RETRIES_EXHAUSTED
    assert f"ended {INTERRUPTION_LIMIT} times" in (verdict.outcome.message or "")


def test_label_of_an_image_that_was_in_hand_at_a_crash_is_labelled(
    bench: Bench, colour_jpeg: Jpeg
) -> None:
    image = bench.claim("a.jpg", colour_jpeg("red"), interruptions=INTERRUPTION_LIMIT - 1)
    verdict = bench.verdict(image)
    assert isinstance(verdict, Finished)
    assert verdict.outcome.status is Status.LABELLED
    assert verdict.model == FACTS


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_label_without_a_free_descriptor_costs_the_image_no_attempt(
    bench: Bench,
    colour_jpeg: Jpeg,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    image = bench.claim("a.jpg", colour_jpeg("red"), attempts=2)
    with monkeypatch.context() as full:

        def refuse(*_: object, **__: object) -> int:
            raise OSError(number, os.strerror(number))

        full.setattr("edge.image_files.read.os.open", refuse)
        verdict = bench.verdict(image)
    assert isinstance(verdict, Postponed)
    assert verdict.attempts == 2
    verdict = bench.verdict(image)
    assert isinstance(verdict, Finished)
    assert verdict.outcome.status is Status.LABELLED
