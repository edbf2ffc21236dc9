"""What the tests of reports look at."""

from __future__ import annotations

import pytest

from daemon.cli import main
from tests.support.site import Site

SAMPLE, SLIDE, NAME = "SMP-471108", "slide-815", "cell-2342"


def status(site: Site, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["status", *words, "--config", str(site.config_path)]) == 0
    return capsys.readouterr().out
