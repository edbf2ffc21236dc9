"""What the tests of `run` and `once` do with a site."""

from __future__ import annotations

from pathlib import Path

from daemon.journal.summary import read_summary
from daemon.startup import opened_service
from tests.support.site import Site

COLOURS = ("red", "green", "blue")


def once(site: Site) -> int:
    with opened_service(site.config(), is_once=True) as service:
        return service.once(lambda: None)


def held_up(site: Site) -> dict[str, int]:
    return read_summary(site.config().state_dir, [site.export]).held_up


def put(path: Path, content: bytes) -> Path:
    """Write as most programs do: open, write, close."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
