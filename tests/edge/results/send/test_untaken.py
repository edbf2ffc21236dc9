"""Tests for what an operator is told of issued results that no target takes."""

from __future__ import annotations

from pathlib import Path

from edge.results.document.result import State
from edge.results.send.outbox.outbox import Outbox
from edge.results.send.untaken import untaken_lines
from tests.edge.results.send.site import SendingSite, drop_target
from tests.support.slide_results import made_result, signed

OLD = "issued before a target for these began, and not completed since its `since`"


def test_results_of_no_target_are_counted_by_state_with_the_reason(tmp_path: Path) -> None:
    first = drop_target(tmp_path / "first", "first")
    with SendingSite(tmp_path / "state", first) as site:
        for sample in ("S1", "S2"):
            site.issued.add(signed(sample))
        site.issued.add(made_result("S3"))
        site.sending.once()
        assert [*untaken_lines(site.outbox, site.issued, site.targets)] == [
            "",
            "issued, and sent to no target:",
            "  1 preliminary: no target takes these",
        ]
    # Another name is another target, which begins with the next result. The first one's were sent.
    second = drop_target(tmp_path / "second", "second", states=(*State,))
    with SendingSite(tmp_path / "state", second) as site:
        site.issued.add(signed("S4"))
        assert [*untaken_lines(site.outbox, site.issued, site.targets)][2:] == [
            f"  1 preliminary: {OLD}",
            "  1 not queued yet: edge-results send does that",
        ]


def test_results_without_their_outbox_are_told_to_wait_for_a_person(tmp_path: Path) -> None:
    target = drop_target(tmp_path / "drop")
    with SendingSite(tmp_path / "state", target) as site:
        site.issued.add(signed())
        with Outbox(tmp_path / "drop") as lost:
            waiting, _, problem = [*untaken_lines(lost, site.issued, site.targets)][2:]
    assert waiting == "  1 not queued yet: edge-results send refuses to start"
    assert "the outbox beside it is new" in problem


def test_nothing_is_told_where_each_result_has_a_target(tmp_path: Path) -> None:
    target = drop_target(tmp_path / "drop")
    with SendingSite(tmp_path / "state", target) as site:
        site.issued.add(signed())
        site.sending.once()
        assert [*untaken_lines(site.outbox, site.issued, site.targets)] == []
