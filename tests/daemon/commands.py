"""Commands of edge-daemon, run in this process."""

from __future__ import annotations

from daemon.cli import main
from tests.support.site import Site


def run(site: Site, *words: str) -> int:
    return main([*words, "--config", str(site.config_path)])
