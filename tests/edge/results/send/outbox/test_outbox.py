"""Tests for the outbox: a real database."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.errors import ConfigError, StorageError
from edge.results.send.outbox.entry import Begun, NewEntry, Stage
from edge.results.send.outbox.file import NAME, only_sender, require_outbox
from edge.results.send.outbox.outbox import Outbox


def new(sample: str, revision: int = 1, content: bytes | None = b"x", told: str = "") -> NewEntry:
    return NewEntry(
        result_id=f"{sample}-{revision}",
        sample_id=sample,
        slide_key=f"KEY{sample}",
        revision=revision,
        state="final",
        name=f"{sample}-{revision}.csv",
        content=content,
        told=told,
    )


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path) as outbox:
        outbox.begin_target("lis", Begun(0, 0, ""))
        yield outbox


def due(outbox: Outbox, now_s: float = 0.0) -> str | None:
    entry = outbox.next_due("lis", now_s)
    return entry.result_id if entry else None


def test_queue_keeps_bytes_and_order_over_a_restart(tmp_path: Path) -> None:
    content = bytes(range(256))
    with Outbox(tmp_path) as outbox:
        outbox.begin_target("lis", Begun(0, 0, ""))
        outbox.queue("lis", [new("S1", content=content), new("S2")], 2)
    with Outbox(tmp_path) as outbox:
        outbox.begin_target("lis", Begun(99, 99, "other"))
        assert outbox.begun() == {"lis": Begun(2, 0, "other")}
        entry = outbox.next_due("lis", 0.0)
        assert entry is not None
        assert (entry.sample_id, outbox.begin(entry)) == ("S1", content)


def test_queue_of_a_known_result_changes_nothing(outbox: Outbox) -> None:
    outbox.queue("lis", [new("S1", content=b"first")], 1)
    outbox.queue("lis", [new("S1", content=b"second")], 1)
    entry = outbox.next_due("lis", 0.0)
    assert entry is not None
    assert outbox.begin(entry) == b"first"
    assert outbox.counts() == {"lis": {"sending": 1}}


def test_target_that_is_new_begins_at_its_position_alone(outbox: Outbox) -> None:
    outbox.queue("lis", [new("S1")], 7)
    outbox.begin_target("other", Begun(7, 7, ""))
    assert outbox.begun() == {"lis": Begun(7, 0, ""), "other": Begun(7, 7, "")}
    assert outbox.next_due("other", 0.0) is None


@pytest.mark.parametrize("stage", [Stage.QUEUED, Stage.SENDING, Stage.HELD])
def test_correction_waits_while_the_earlier_one_is_open(outbox: Outbox, stage: Stage) -> None:
    outbox.queue("lis", [new("S1"), new("S1", 2), new("S2")], 3)
    first = outbox.next_due("lis", 0.0)
    assert first is not None
    outbox.begin(first)
    if stage is Stage.QUEUED:
        outbox.try_again(first, 100.0, "away")
    if stage is Stage.HELD:
        outbox.hold(first, "refused")
    # Other samples go on.
    assert due(outbox) == "S2-1"
    outbox.done(outbox.open_entries(9)[-1], "took it")
    assert due(outbox) is None
    assert outbox.next_try_s("lis") == (100.0 if stage is Stage.QUEUED else None)


def test_correction_goes_once_the_earlier_one_is_done(outbox: Outbox) -> None:
    outbox.queue("lis", [new("S1"), new("S1", 2)], 2)
    first = outbox.next_due("lis", 0.0)
    assert first is not None
    outbox.done(first, "took it")
    assert due(outbox) == "S1-2"


def test_failed_one_comes_after_others_and_after_its_delay(outbox: Outbox) -> None:
    outbox.queue("lis", [new("S1"), new("S2")], 2)
    first = outbox.next_due("lis", 0.0)
    assert first is not None
    outbox.begin(first)
    outbox.try_again(first, 50.0, "failed", is_failure=True)
    assert due(outbox, 60.0) == "S2-1"
    second = outbox.next_due("lis", 60.0)
    assert second is not None
    outbox.done(second, "")
    assert due(outbox, 49.0) is None
    assert due(outbox, 50.0) == "S1-1"
    assert outbox.next_try_s("lis") == 50.0


def test_take_back_after_a_kill_queues_again_without_delay(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.begin_target("lis", Begun(0, 0, ""))
        outbox.queue("lis", [new("S1"), new("S2")], 2)
        first = outbox.next_due("lis", 0.0)
        assert first is not None
        outbox.begin(first)
        second = outbox.next_due("lis", 0.0)
        assert second is not None
        outbox.begin(second)
        # A machine that started anew counts its time from zero.
        outbox.try_again(second, 1e9, "away")
    with Outbox(tmp_path) as outbox:
        assert outbox.take_back() == 1
        assert due(outbox) == "S1-1"
        assert outbox.counts() == {"lis": {"queued": 2}}


def test_release_queues_a_held_one_again_with_the_same_bytes(outbox: Outbox) -> None:
    outbox.queue("lis", [new("S1", content=b"same")], 1)
    entry = outbox.next_due("lis", 0.0)
    assert entry is not None
    outbox.begin(entry)
    outbox.hold(entry, "refused", "no order for S1")
    assert outbox.release(entry.id).stage is Stage.QUEUED
    again = outbox.next_due("lis", 0.0)
    assert again is not None
    assert (outbox.begin(again), again.failures) == (b"same", 0)


def test_give_up_lets_the_next_of_the_sample_go(outbox: Outbox) -> None:
    outbox.queue("lis", [new("S1", content=None, told="an id with a comma"), new("S1", 2)], 2)
    assert due(outbox) is None
    (held, _) = outbox.open_entries(9)
    assert (held.stage, held.told) == (Stage.HELD, "an id with a comma")
    given_up = outbox.give_up(held.id, "typed by hand")
    assert (given_up.stage, given_up.told) == (Stage.GIVEN_UP, "given up: typed by hand")
    assert due(outbox) == "S1-2"


@pytest.mark.parametrize("id_", [1, 2, 99])
def test_decision_about_what_is_not_held_is_refused(outbox: Outbox, id_: int) -> None:
    outbox.queue("lis", [new("S1"), new("S2")], 2)
    with pytest.raises(ConfigError, match=f"no held result has the number {id_}"):
        outbox.release(id_)
    with pytest.raises(ConfigError, match="--status"):
        outbox.give_up(id_, "why")
    assert outbox.counts() == {"lis": {"queued": 2}}


def test_released_one_without_bytes_keeps_its_turn(outbox: Outbox) -> None:
    outbox.queue("lis", [new("S1", content=None, told="no code"), new("S1", 2)], 2)
    outbox.release(outbox.open_entries(9)[0].id)
    assert due(outbox) is None
    (entry,) = outbox.released_without_content("lis")
    outbox.fill(entry, b"now it fits")
    assert due(outbox) == "S1-1"


def test_queued_one_is_given_up_only_where_nobody_sends_and_never_begins(outbox: Outbox) -> None:
    outbox.queue("lis", [new("S1"), new("S1", 2)], 2)
    entry = outbox.next_due("lis", 0.0)
    assert entry is not None
    with pytest.raises(ConfigError, match="no held result"):
        outbox.give_up(entry.id, "why")
    outbox.give_up(entry.id, "why", also_queued=True)
    # A sender that has just read it sends nothing.
    assert outbox.begin(entry) is None
    assert outbox.counts() == {"lis": {"given_up": 1, "queued": 1}}
    assert due(outbox) == "S1-2"


def test_forget_contents_drops_bytes_of_what_was_done_alone(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.begin_target("lis", Begun(0, 0, ""))
        outbox.queue("lis", [new("S1"), new("S2")], 2)
        entry = outbox.next_due("lis", 0.0)
        assert entry is not None
        outbox.done(entry, "")
        outbox.forget_contents(-1.0)
    with sqlite3.connect(tmp_path / NAME) as db:
        found = db.execute("SELECT sample_id, content FROM message ORDER BY id").fetchall()
    db.close()
    assert found == [("S1", None), ("S2", b"x")]


def test_outbox_is_private_and_writes_through(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.begin_target("lis", Begun(0, 0, ""))
        modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob(f"{NAME}*")}
    assert modes == {0o600}


def test_two_senders_are_refused_and_the_second_works_after_the_first(tmp_path: Path) -> None:
    with (
        only_sender(tmp_path / "state"),
        pytest.raises(StorageError, match="in use by another"),
        only_sender(tmp_path / "state"),
    ):
        raise AssertionError
    with only_sender(tmp_path / "state"):
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", [b"no database at all" * 100, None])
def test_damaged_outbox_is_one_clear_line(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / NAME
    with Outbox(tmp_path) as outbox:
        outbox.begin_target("lis", Begun(0, 0, ""))
        outbox.queue("lis", [new(f"S{number}", content=b"x" * 5000) for number in range(50)], 50)
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * len(content[8192:])
    path.write_bytes(damage or bytes(content))
    with pytest.raises(StorageError, match=r"the outbox .* is damaged .* set `since`") as caught:
        Outbox(tmp_path)
    assert "\n" not in str(caught.value)


def test_outbox_of_a_newer_version_is_refused_and_stays(tmp_path: Path) -> None:
    with Outbox(tmp_path) as outbox:
        outbox.begin_target("lis", Begun(0, 0, ""))
    db = sqlite3.connect(tmp_path / NAME)
    db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(StorageError, match="has version 9, this program reads 2"):
        Outbox(tmp_path)


def test_require_outbox_without_one_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nothing was sent with this configuration yet"):
        require_outbox(tmp_path)
