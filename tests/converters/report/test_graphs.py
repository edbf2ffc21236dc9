from __future__ import annotations

from typing import Any

import pytest

from converters.report.graphs import gate, graph_rows
from tests.support.report.sample_evidence import FACTS, graph


def test_gate_of_a_rescued_graph_shows_what_was_found_before() -> None:
    found = gate(graph(passed=True))
    assert found.has_before
    assert found.checks[0].before == "3.12 points"
    assert not gate({**graph(passed=True), "rescue_steps": []}).has_before


def test_gate_says_why_of_the_limits_that_do_not_hold() -> None:
    reasons = [(check.holds, check.reason) for check in gate(graph(passed=False)).checks]
    assert reasons[0] == (False, "INT8 loses 3.12 points of accuracy, at most 0.5 are allowed")
    assert reasons[2] == (True, "")


@pytest.mark.parametrize(
    ("name", "found", "limit", "shown"),
    [
        ("agreement", 0.995, 0.99, ("99.50%", "at least 99.00%")),
        ("class loss", 0.031, 0.05, ("p = 0.031", "at least 0.05")),
        ("divergence", 4e-5, 0.05, ("0.00004 nats", "at most 0.05 nats")),
        ("calibration error rise", 0.0123, 0.03, ("1.23 points", "at most 3.00 points")),
        ("class recall drop", 1.5, 5.0, ("1.50 points", "at most 5.00 points")),
        ("a check to come", 1.0, 2.0, ("1.00", "at most 2.00")),
    ],
)
def test_limit_is_written_in_its_unit(
    name: str, found: float, limit: float, shown: tuple[str, str]
) -> None:
    check = {"name": name, "found": found, "limit": limit, "holds": True, "text": ""}
    (written,) = gate({"checks": [check]}).checks
    assert (written.found, written.allowed) == shown


def test_graph_without_int8_has_no_share_of_it(evidence: dict[str, Any]) -> None:
    half = graph(passed=True)
    del half["int8_share_of_macs"], half["method"]
    quantized, other = graph_rows({"x86": evidence["graphs"]["x86"], "fp16": half}, FACTS)
    assert (quantized.int8_share, quantized.float_layers) == ("83%", "2")
    assert (other.int8_share, other.float_layers, other.method) == ("", "", "none")
    assert other.target == "NVIDIA GPUs, not quantized"


def test_graph_without_labels_has_no_known_accuracy(unlabelled: dict[str, Any]) -> None:
    (row, _) = graph_rows(unlabelled["graphs"], FACTS)
    assert (row.accuracy.text, row.points_lost.text) == ("not known", "not known")
