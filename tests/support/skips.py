"""Turns skipped tests into failures, on machines that have everything the tests need."""

from __future__ import annotations

import os
from typing import Final

import pytest

# Set by .ci/run, which installs what the tests need.
VARIABLE: Final = "EDGE_WHOLE_MACHINE"
# What such a machine may lack all the same: a GPU, the real images, a newer systemd; and the long
# list of faults, which takes a quarter of an hour.
_GPU_TESTS: Final = "tests/gpu/test_engine_on_gpu.py"
_REASONS: Final = ("the shared ", "one of the long list", "Type=notify-reload needs systemd")


def must_run(nodeid: str, reason: str) -> bool:
    """Whether a skip with this reason counts as a failure here."""
    is_whole = bool(os.environ.get(VARIABLE))
    return is_whole and not nodeid.startswith(_GPU_TESTS) and not reason.startswith(_REASONS)


def fail_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip that must not be into a failure."""
    # An expected failure is reported as skipped too, and is none.
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    where = report.longrepr
    reason = str(where[2] if isinstance(where, tuple) else where).removeprefix("Skipped: ")
    if must_run(report.nodeid, reason):
        report.outcome = "failed"
        report.longrepr = f"skipped although {VARIABLE} is set: {reason}"
