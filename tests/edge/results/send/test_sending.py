"""Tests for the whole way of a result, from its issue to its receiver."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import ConfigError, StorageError
from edge.results.document.result import SlideResult, State
from edge.results.formats.format import Context
from edge.results.send.operator import give_up, release
from tests.edge.results.send.site import SendingSite, drop_target, mllp_target
from tests.support.mllp_server import MllpServer, answer, closes, control_id, mllp_server, says
from tests.support.slide_results import made_result, signed
from tests.support.waiting import until


@pytest.fixture
def server() -> Iterator[MllpServer]:
    with mllp_server() as server:
        yield server


def test_issued_result_reaches_every_target_once(tmp_path: Path, server: MllpServer) -> None:
    drop = tmp_path / "drop"
    targets = (drop_target(drop), mllp_target(server.port))
    for _ in range(2):
        with SendingSite(tmp_path / "state", *targets) as site:
            site.issued.add(signed())
            counts = site.sending.once()
            assert counts == {"drop": {"acked": 1}, "lis": {"acked": 1}}
    (file,) = drop.iterdir()
    assert file.name == f"20261123T091503Z-{signed().slide_key}-r1.csv"
    assert file.read_text() == "S1,1,final\n"
    assert [control_id(message).decode() for message in server.received] == [signed().result_id]


def test_correction_is_a_new_file_with_a_later_name(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    with SendingSite(tmp_path / "state", drop_target(drop)) as site:
        for revision in (1, 2, 3):
            site.issued.add(signed(revision=revision))
        site.sending.once()
    files = sorted(drop.iterdir())
    assert [file.read_text() for file in files] == [
        "S1,1,final\n",
        "S1,2,corrected\n",
        "S1,3,corrected\n",
    ]


def test_unverified_result_leaves_only_where_it_was_asked_for(tmp_path: Path) -> None:
    usual = drop_target(tmp_path / "usual", "usual")
    early = drop_target(tmp_path / "early", "early", states=(State.PRELIMINARY,))
    with SendingSite(tmp_path / "state", usual, early) as site:
        site.issued.add(made_result("S1"))
        site.issued.add(signed("S2"))
        assert site.sending.once() == {"usual": {"acked": 1}, "early": {"acked": 1}}
    assert [p.read_text() for p in (tmp_path / "usual").iterdir()] == ["S2,1,final\n"]
    assert [p.read_text() for p in (tmp_path / "early").iterdir()] == ["S1,1,preliminary\n"]


def test_target_that_is_added_later_gets_what_is_issued_from_then_on(tmp_path: Path) -> None:
    first = drop_target(tmp_path / "first", "first")
    with SendingSite(tmp_path / "state", first) as site:
        site.issued.add(signed("S1"))
        site.sending.once()
    added = drop_target(tmp_path / "added", "added")
    since = drop_target(tmp_path / "since", "since", since=signed("S1").completed)
    with SendingSite(tmp_path / "state", first, added, since) as site:
        site.issued.add(signed("S2"))
        site.sending.once()
    found = {
        name: sorted(file.read_text()[:2] for file in (tmp_path / name).iterdir())
        for name in ("first", "added", "since")
    }
    assert found == {"first": ["S1", "S2"], "added": ["S2"], "since": ["S1", "S2"]}


def test_misfit_is_held_with_its_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    with SendingSite(tmp_path / "state", drop_target(drop)) as site:
        site.issued.add(signed("a,b"))
        site.issued.add(signed("S2"))
        assert site.sending.once() == {"drop": {"acked": 1, "held": 1}}
        assert "sample a,b" in site.status()
        # Released without a change, it is held again.
        site.outbox.release(1)
        assert site.sending.once() == {"drop": {"acked": 1, "held": 1}}
    assert [path.read_text() for path in drop.iterdir()] == ["S2,1,final\n"]
    (held,) = (line for line in site.told if "held" in line)
    key = signed("a,b").slide_key
    assert held.startswith(f"drop: held {key} revision 1: the id has a comma")


def test_nothing_told_names_a_sample(tmp_path: Path, server: MllpServer) -> None:
    server.then(says("AR", "no order for SECRET1"), closes)
    with SendingSite(tmp_path / "state", mllp_target(server.port)) as site:
        for sample in ("SECRET1", "SECRET2", "SECRET,3"):
            site.issued.add(signed(sample))
        site.sending.once()
        assert len(site.told) >= 3
        assert "SECRET" not in "\n".join(site.told)
        assert "no order for SECRET1" in site.status()


def test_failure_is_tried_again_with_the_same_bytes_and_then_held(
    tmp_path: Path, server: MllpServer
) -> None:
    server.then(says("AE"), says("AE"), says("AE"))
    with SendingSite(tmp_path / "state", mllp_target(server.port)) as site:
        site.issued.add(signed())
        site.issued.add(signed(revision=2))
        until(lambda: site.sending.once() == {"lis": {"held": 1, "queued": 1}})
        assert len(server.received) == 3
        assert len(set(server.received)) == 1
        # The correction waits; released, both go in their order.
        site.outbox.release(1)
        until(lambda: site.sending.once() == {"lis": {"acked": 2}})
    sent = [control_id(message).decode() for message in server.received]
    assert sent == [signed().result_id] * 4 + [signed(revision=2).result_id]


def test_refusal_is_held_at_once_and_given_up_with_a_reason(
    tmp_path: Path, server: MllpServer
) -> None:
    server.then(says("AR"))
    with SendingSite(tmp_path / "state", mllp_target(server.port)) as site:
        site.issued.add(signed())
        site.issued.add(signed(revision=2))
        assert site.sending.once() == {"lis": {"held": 1, "queued": 1}}
        assert len(server.received) == 1
        with pytest.raises(ConfigError, match="needs --reason"):
            give_up(site.outbox, 1, "  ", ["lis"])
        assert "typed by hand (" in give_up(site.outbox, 1, "typed by hand", ["lis"]).told
        assert site.sending.once() == {"lis": {"acked": 1, "given_up": 1}}


def test_refusal_that_comes_after_the_commit_holds_its_result(
    tmp_path: Path, server: MllpServer
) -> None:
    def commits(connection: socket.socket, message: bytes) -> None:
        """Commit a message, and refuse the first one a little after the commit has counted."""
        connection.sendall(answer(message, "CA"))
        if len(server.received) == 2:
            select.select([], [], [], 0.2)
            connection.sendall(answer(server.received[0], "AR", text="no order"))

    server.usual = commits
    target = mllp_target(server.port, answer_s=0.05)
    with SendingSite(tmp_path / "state", target) as site:
        for revision in (1, 2):
            site.issued.add(signed(revision=revision))
        assert site.sending.once() == {"lis": {"acked": 1, "held": 1}}
        assert site.told[-1].endswith(f"(final): {target.place} refused it (AR) after its CA")
        # Released, the first revision would replace the second one.
        with pytest.raises(ConfigError, match="has a later revision of 1 already"):
            release(site.outbox, 1, ["lis"])
        give_up(site.outbox, 1, "the order was made", ["lis"])


def test_target_that_is_away_holds_nothing_and_is_told_once(tmp_path: Path) -> None:
    with mllp_server() as server:
        port = server.port
    drop = tmp_path / "drop"
    with SendingSite(tmp_path / "state", mllp_target(port), drop_target(drop)) as site:
        site.issued.add(signed())
        for _ in range(20):
            site.sending.once()
            until(lambda: site.sending._deliveries[0].wait_s() == 0)  # noqa: SLF001 - no sleep
        counts = site.sending.once()
        assert counts == {"lis": {"queued": 1}, "drop": {"acked": 1}}
        assert len([line for line in site.told if "refused" in line]) == 1
        with mllp_server(port) as server:
            until(lambda: site.sending.once()["lis"] == {"acked": 1})
            assert len(server.received) == 1
        assert "lis: is back" in site.told


def test_watch_sends_what_is_issued_while_it_runs_and_survives_an_absent_share(
    tmp_path: Path,
) -> None:
    drop = tmp_path / "drop"
    rounds: list[int] = []
    with SendingSite(tmp_path / "state", drop_target(drop)) as site:

        def issue() -> None:
            rounds.append(1)
            if len(rounds) == 1:
                site.issued.add(signed("S1"))
            if len(rounds) in (2, 3):
                raise StorageError("the share is away.")
            if len(rounds) == 4:
                site.issued.add(signed("S2"))
            if len(rounds) == 6:
                # As Ctrl-C does, which a process in the background may ignore.
                raise KeyboardInterrupt

        site.issue = issue
        with pytest.raises(KeyboardInterrupt):
            site.sending.watch()
    assert len(list(drop.iterdir())) == 2
    assert [line for line in site.told if "share" in line or "again" in line] == [
        "the share is away.",
        "sidecars can be read again",
    ]


def test_format_that_fails_for_one_result_holds_that_one_alone(tmp_path: Path) -> None:
    usual = drop_target(tmp_path / "drop")

    def write(result: SlideResult, context: Context) -> bytes:
        if result.sample_id == "S1":
            raise ZeroDivisionError("S1")
        return usual.format.write(result, context)

    target = replace(usual, format=replace(usual.format, write=write))
    with SendingSite(tmp_path / "state", target) as site:
        site.issued.add(signed("S1"))
        site.issued.add(signed("S2"))
        assert site.sending.once() == {"drop": {"acked": 1, "held": 1}}
        assert "ZeroDivisionError" in site.told[0]


def test_status_lists_counts_held_and_waiting(tmp_path: Path, server: MllpServer) -> None:
    server.then(says("AR", "no order"))
    with SendingSite(tmp_path / "state", mllp_target(server.port)) as site:
        site.issued.add(signed("S1"))
        site.issued.add(signed("S1", 2))
        site.sending.once()
        lines = site.status().splitlines()
    assert lines[0].split() == ["target", "queued", "sending", "held", "sent", "given", "up"]
    assert lines[1].split() == ["lis", "1", "0", "1", "0", "0"]
    assert lines[3] == "held; decide with --release NUMBER, or --give-up NUMBER --reason TEXT:"
    assert lines[4] == f"  1  lis: sample S1, slide {signed().slide_key} revision 1 (final)"
    assert lines[5].startswith("      held since ")
    assert lines[6].endswith("refused it (AR): no order")
    assert lines[8] == "on the way:"
    assert lines[-1] == "      waits for 1, which is held"


def test_issued_results_older_than_the_outbox_are_refused(tmp_path: Path) -> None:
    state, target = tmp_path / "state", drop_target(tmp_path / "drop")
    with SendingSite(state, target) as site:
        site.issued.add(made_result("S1"))
        site.issued.add(made_result("S9"))
        site.sending.once()
    for path in state.glob("issued.sqlite3*"):
        path.unlink()
    with pytest.raises(StorageError, match="has 0 results, and drop was given 2"):
        SendingSite(state, target).__enter__()
