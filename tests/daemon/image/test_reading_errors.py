"""Images that others keep back: they wait, for as long as it takes, and are never rejected."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon.image import reading_errors as transient_cause
from daemon.image.comparison import Comparison
from daemon.image.records import LATER_RUN, ClaimedImage, Finished, Postponed, Verdict
from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.journal.summary import Summary, read_summary
from daemon.log.journald import Pseudonyms
from daemon.model.label_job import GracePeriod, LabelJob
from daemon.operator.status import status_fields, status_text
from daemon.startup import opened_service
from daemon.supervision.running_daemon import Running
from edge.errors import TransientError
from edge.image_files.limits import ImageLimits
from edge.image_files.read import read_file
from edge.labeller import Outcome
from edge.retry.policy import RetryPolicy
from edge.sidecar import ModelFacts
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until

FACTS = ModelFacts("discs", "1", "0" * 64, "fp32", "fake", "model.fp32.onnx", ("red",))
IN_USE = [errno.EBUSY, errno.ETXTBSY, errno.EAGAIN, errno.EDEADLK, errno.ENOLCK, errno.EINTR]
SHARE = [
    *(errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN, errno.EREMOTEIO),
    *(errno.ENODEV, errno.ENXIO),
]


class Held:
    """Names of images whose opening fails, as `number` says."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.number = errno.EBUSY
        self.looks = 0
        self._open = os.open

    def open(self, path: Path, *arguments: Any, **options: Any) -> int:
        if Path(path).name in self.names:
            self.looks += 1
            raise OSError(self.number, os.strerror(self.number))
        return self._open(path, *arguments, **options)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held()
    monkeypatch.setattr("edge.image_files.read.os.open", held.open)
    return held


class Bench:
    """A job that reads a file and labels none, on a clock to turn."""

    def __init__(self, folder: Path, recheck_s: float | None) -> None:
        self.now_s = 1000.0
        (folder / "a.jpg").write_bytes(b"x")
        self.root = WatchFolder(1, folder, folder, names_regex(("*.jpg",)))
        policy = RetryPolicy(attempts=3, first_delay_s=1.0, max_delay_s=60.0)
        patience = GracePeriod(20.0, recheck_s=recheck_s)
        roots = {1: self.root}
        comparison = Comparison(roots, ImageLimits(), lambda _: True, 1.0)
        self.job = LabelJob(
            self._label, roots, policy, patience, comparison, clock=lambda: self.now_s
        )

    def delays(self, looks: int) -> Iterator[float]:
        """The waits between looks at the image; none of them may count as an attempt."""
        version = self.root.look(b"a.jpg")
        assert version is not None
        since_s = None
        for _ in range(looks):
            verdict = self.verdict(ClaimedImage(1, version, 2, since_s))
            assert isinstance(verdict, Postponed)
            assert verdict.attempts == 2
            since_s = verdict.unfinished_since_s
            self.now_s += verdict.delay_s
            yield verdict.delay_s

    def verdict(self, image: ClaimedImage) -> Verdict:
        (verdict,) = self.job.label([image])
        return verdict

    @staticmethod
    def _label(paths: list[Path]) -> tuple[list[Outcome | TransientError], ModelFacts]:
        try:
            read_file(paths[0], ImageLimits())
        except TransientError as error:
            return [error], FACTS
        pytest.fail("it was read")


@pytest.mark.parametrize("number", IN_USE + SHARE)
def test_label_image_that_others_keep_back_waits_ever_longer_without_an_attempt(
    tmp_path: Path, held: Held, number: int
) -> None:
    held.names, held.number = {"a.jpg"}, number
    assert list(Bench(tmp_path, 30.0).delays(8)) == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


@pytest.mark.parametrize("number", IN_USE + SHARE)
def test_label_image_that_others_keep_back_is_left_for_a_later_run_where_this_one_has_an_end(
    tmp_path: Path, held: Held, number: int
) -> None:
    held.names, held.number = {"a.jpg"}, number
    delays = list(Bench(tmp_path, None).delays(7))
    assert delays == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0, LATER_RUN]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENODATA, errno.EBADF])
def test_label_bad_sector_is_the_images_own_on_a_disk_and_the_shares_on_a_share(
    tmp_path: Path, held: Held, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    held.names, held.number = {"a.jpg"}, number
    bench = Bench(tmp_path, 30.0)
    version = bench.root.look(b"a.jpg")
    assert version is not None
    image = ClaimedImage(1, version, 2)
    assert isinstance(bench.verdict(image), Finished)
    monkeypatch.setattr(transient_cause, "is_on_share", lambda folder: folder == tmp_path)
    verdict = bench.verdict(image)
    assert isinstance(verdict, Postponed)
    assert (verdict.attempts, verdict.cause) == (2, f"the share ({os.strerror(number)})")
    held.number = errno.ENAMETOOLONG
    assert isinstance(bench.verdict(image), Finished)


def held_up(site: Site) -> dict[str, int]:
    return read_summary(site.config().state_dir, [site.export]).held_up


@contextmanager
def once(site: Site) -> Iterator[Any]:
    with opened_service(site.config(), is_once=True) as service:
        assert service.once(lambda: None) == 0
        yield service


def test_run_image_held_by_another_program_is_labelled_when_it_is_released(
    site: Site,
    held: Held,
    colour_jpeg: Jpeg,
    caplog: pytest.LogCaptureFixture,
) -> None:
    site.settings["retry"] = {"attempts": 2, "first_delay_s": 0.05, "max_delay_s": 0.05}
    site.settings["rescan_s"] = 0.2
    held.names = {"a.jpg", "b.jpg"}
    for name in ("a", "b", "c"):
        site.add(f"S1/1/{name}.jpg", colour_jpeg("red"))
    with site.running():
        until(lambda: held_up(site) == {"another program (Device or resource busy)": 2})
        until(lambda: site.has_sidecar("S1/1/c.jpg"))
        looks = held.looks
        until(lambda: held.looks >= looks + 10)
        assert not site.has_sidecar("S1/1/a.jpg")
        held.names = set()
        until(lambda: site.has_sidecar("S1/1/a.jpg") and site.has_sidecar("S1/1/b.jpg"))
    assert site.sidecar("S1/1/a.jpg")["label"] == "red"
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert said[0].startswith("other programs hold some images")


def test_once_image_held_by_another_program_is_left_and_labelled_by_the_next_run(
    site: Site, held: Held, colour_jpeg: Jpeg
) -> None:
    site.settings["settle_s"] = 0.05
    site.settings["retry"] = {"attempts": 2, "first_delay_s": 0.05, "max_delay_s": 0.05}
    held.names = {"a.jpg"}
    for name in ("a", "b"):
        site.add(f"S1/1/{name}.jpg", colour_jpeg("red"))
    with once(site) as service:
        assert service.outcome_counts.to_dict()["left"] == service.outcome_counts.left == 1
    assert site.has_sidecar("S1/1/b.jpg")
    assert not site.has_sidecar("S1/1/a.jpg")
    assert held_up(site) == {"another program (Device or resource busy)": 1}
    held.names = set()
    with once(site) as service:
        assert service.outcome_counts.to_dict()["left"] == 0
    assert site.sidecar("S1/1/a.jpg")["label"] == "red"


def test_status_of_images_that_others_keep_back_says_by_whom_and_what_to_do(site: Site) -> None:
    causes = {"another program (Text file busy)": 3, "the share (Host is down)": 2}
    summary = Summary({"waiting": 5}, {}, {}, {}, causes, {}, 0, None, None, [])
    fields = status_fields(summary, Pseudonyms(b"key"), Running(1))
    text = " ".join(status_text(fields, site.folder).split())
    assert "3 held up: another program (Text file busy)" in text
    assert "Programs such as virus scanners, viewers and backups hold these images" in text
    assert "The share gives errors for these images" in text
