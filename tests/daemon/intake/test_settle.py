"""Tests for daemon.intake.settle: on a clock that the test turns."""

from __future__ import annotations

from daemon.image.records import ImageVersion
from daemon.intake.settle import SettleTracker

A = ImageVersion(1, b"a.jpg", 100, 5_000)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def tracker() -> tuple[SettleTracker, Clock]:
    clock = Clock()
    return SettleTracker(2.0, clock=clock, wall_clock=lambda: 100.0), clock


def same(version: ImageVersion) -> ImageVersion:
    return version


def grown(version: ImageVersion, size_bytes: int) -> ImageVersion:
    return ImageVersion(version.folder_id, version.path, size_bytes, version.mtime_ns)


def test_settle_quiet_file_is_settled_once() -> None:
    files, clock = tracker()
    files.watch(A)
    clock.now_s += 1.9
    assert files.take_settled(same) == []
    clock.now_s += 0.2
    assert files.take_settled(same) == [A]
    assert files.take_settled(same) == []
    assert len(files) == 0


def test_settle_watched_again_unchanged_keeps_its_time() -> None:
    files, clock = tracker()
    files.watch(A)
    clock.now_s += 1.5
    files.watch(A)
    clock.now_s += 0.6
    assert files.take_settled(same) == [A]


def test_settle_growing_file_waits_until_it_is_quiet() -> None:
    files, clock = tracker()
    files.watch(A)
    bigger = grown(A, 200)
    clock.now_s += 2.1
    assert files.take_settled(lambda _: bigger) == []
    clock.now_s += 1.9
    assert files.take_settled(lambda _: bigger) == []
    clock.now_s += 0.2
    assert files.take_settled(lambda _: bigger) == [bigger]


def test_settle_file_that_vanished_is_forgotten() -> None:
    files, clock = tracker()
    files.watch(A)
    clock.now_s += 3.0
    assert files.take_settled(lambda _: None) == []
    assert len(files) == 0


def test_settle_several_files_settle_in_their_own_time() -> None:
    files, clock = tracker()
    b = ImageVersion(1, b"b.jpg", 1, 1)
    files.watch(A)
    clock.now_s += 1.0
    files.watch(b)
    assert files.seconds_to_next() == 1.0
    clock.now_s += 1.0
    assert files.take_settled(same) == [A]
    clock.now_s += 1.0
    assert files.take_settled(same) == [b]
    assert files.seconds_to_next() == float("inf")


def test_settle_file_that_never_rests_is_restless_after_patience() -> None:
    files, clock = tracker()
    version = A
    for step in range(11):
        files.watch(version)
        assert not files.all_keep_changing()
        clock.now_s += 1.9
        version = grown(A, 200 + step)
    assert files.all_keep_changing()


def test_looks_old_compares_mtime_with_the_wall_clock() -> None:
    files, _ = tracker()
    assert files.is_quiet_by_mtime(ImageVersion(1, b"a", 1, 97_000_000_000))
    assert not files.is_quiet_by_mtime(ImageVersion(1, b"a", 1, 99_000_000_000))
    assert not files.is_quiet_by_mtime(ImageVersion(1, b"a", 1, 500_000_000_000))
