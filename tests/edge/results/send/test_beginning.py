"""Tests for targets that are new, changed or removed while something is queued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.results.document.result import State
from edge.results.send.config import Target
from edge.results.send.operator import give_up, release, status_lines
from tests.edge.results.send.site import MESSAGE, TEXT, SendingSite, drop_target, mllp_target
from tests.support.slide_results import signed

# Nobody listens there.
AWAY = 9


def texts(folder: Path) -> list[str]:
    return sorted(path.read_text() for path in folder.iterdir())


def send(folder: Path, targets: Sequence[Target], *samples: str) -> None:
    with SendingSite(folder / "state", *targets) as site:
        for sample in samples:
            site.issued.add(signed(sample))
        site.sending.once()


def test_result_of_an_old_verification_goes_to_each_target_that_had_begun(tmp_path: Path) -> None:
    # The time of a verification is that of its completion, and it may be issued much later.
    long_after = signed("S1").completed + timedelta(days=3)
    targets = [drop_target(tmp_path / "drop", since=long_after)]
    for sample in ("S1", "S2"):
        send(tmp_path, targets, sample)
    assert texts(tmp_path / "drop") == ["S1,1,final\n", "S2,1,final\n"]


def test_since_adds_older_results_by_their_completion_alone(tmp_path: Path) -> None:
    send(tmp_path, [drop_target(tmp_path / "first", "first")], "S1")
    completed = signed("S1").completed
    since = drop_target(tmp_path / "since", "since", since=completed)
    after = drop_target(tmp_path / "after", "after", since=completed + timedelta(seconds=1))
    send(tmp_path, [since, after], "S2")
    assert texts(tmp_path / "since") == ["S1,1,final\n", "S2,1,final\n"]
    assert texts(tmp_path / "after") == ["S2,1,final\n"]


def test_outbox_that_was_lost_sends_whatever_is_issued_after_since_now(tmp_path: Path) -> None:
    send(tmp_path, [drop_target(tmp_path / "drop")], "S1")
    for path in (tmp_path / "state").glob("outbox*"):
        path.unlink()
    send(tmp_path, [drop_target(tmp_path / "drop", since=datetime.now(UTC))], "S2")
    assert texts(tmp_path / "drop") == ["S1,1,final\n", "S2,1,final\n"]


def test_since_in_the_future_is_refused_for_a_new_target_alone(tmp_path: Path) -> None:
    target = drop_target(tmp_path / "drop")
    late = replace(target, since=datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(ConfigError, match=r"since of drop is .* in the future"):
        send(tmp_path, [late])
    send(tmp_path, [target])
    # Such as after a start with a clock that was set back, which must not stop the service.
    send(tmp_path, [late], "S1")
    assert texts(tmp_path / "drop") == ["S1,1,final\n"]


@pytest.mark.parametrize("is_held", [False, True])
def test_change_of_format_or_way_with_something_open_is_refused(
    tmp_path: Path, *, is_held: bool
) -> None:
    drop = drop_target(tmp_path / "drop", "lis")
    queued = replace(mllp_target(AWAY), format=TEXT) if is_held else mllp_target(AWAY)
    send(tmp_path, [queued], "a,b" if is_held else "S1")
    kind = "text" if is_held else "message"
    for changed in (drop, replace(drop, format=MESSAGE)):
        with pytest.raises(ConfigError) as caught:
            send(tmp_path, [changed])
        assert f"1 result for it is queued or held as {kind} over MLLP" in str(caught.value)
    assert texts(tmp_path / "drop") == []
    # Under another name it begins anew, and the receiver may have another address.
    send(tmp_path, [replace(queued, place=mllp_target(AWAY - 1).place), replace(drop, name="new")])


def test_change_of_format_is_taken_when_nothing_is_open(tmp_path: Path) -> None:
    send(tmp_path, [drop_target(tmp_path / "drop", "lis")], "S1")
    for format_ in (MESSAGE, TEXT):
        send(tmp_path, [replace(drop_target(tmp_path / "drop", "lis"), format=format_)])


def test_what_is_open_for_a_removed_target_is_given_up_and_never_released(tmp_path: Path) -> None:
    send(tmp_path, [mllp_target(AWAY)], "S1", "a,b")
    other = drop_target(tmp_path / "drop", "other", states=(*State,))
    with SendingSite(tmp_path / "state", other) as site:
        status = list(status_lines(site.outbox, ["other"]))
        assert "      nobody sends it: configure its target again, or --give-up it" in status
        with pytest.raises(ConfigError, match="2 is for lis, which is not configured"):
            release(site.outbox, 2, ["other"])
        # The target of a running service would send what is queued.
        with pytest.raises(ConfigError, match="no held result"):
            give_up(site.outbox, 1, "the LIS was replaced", ["other", "lis"])
        for number in (1, 2):
            give_up(site.outbox, number, "the LIS was replaced", ["other"])
        assert site.sending.once() == {"lis": {"given_up": 2}, "other": {}}
