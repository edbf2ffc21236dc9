"""kill -9 at random moments: every image ends with one whole sidecar and one outcome."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

from edge.files.temporary import TEMPORARY_PREFIX, TEMPORARY_SUFFIX
from tests.support.digests import digests
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until

KILLS = 10
IMAGES = 400
COLOURS = ("red", "green", "blue")


def test_once_killed_again_and_again_ends_with_every_image_labelled_once(
    site: Site,
    colour_jpeg: Jpeg,
) -> None:
    contents = [colour_jpeg(name) for name in COLOURS]
    names = [f"S{number // 40}/1/{number}.jpg" for number in range(IMAGES)]
    for number, name in enumerate(names):
        site.add(name, contents[number % 3])
    site.settings["batch"] = {"max_images": 2}
    before = digests(site.export)
    chance = random.Random(7)  # noqa: S311 - a repeatable choice of moments
    killed = 0
    while killed < KILLS:
        process = site.start("once")
        written = count(site)
        # Killed within its work: later where it has written something, or it would never end.
        until(has_written(site, written))
        time.sleep(chance.uniform(0.0, 0.05))
        process.kill()
        process.communicate(timeout=20)
        killed += 1
        for sidecar in site.results.rglob("*.jpg.json"):
            assert json.loads(sidecar.read_bytes())["status"] == "labelled"
    final = site.start("once")
    _, errors = final.communicate(timeout=60)
    assert final.returncode == 0, errors
    outcomes = site.outcomes()
    for number, name in enumerate(names):
        assert site.sidecar(name)["label"] == COLOURS[number % 3]
        assert outcomes[name] == ("done", "labelled", COLOURS[number % 3], None)
    assert digests(site.export) == before
    assert len(list(site.results.rglob("*.jpg.*"))) == 2 * IMAGES
    assert list(site.results.rglob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}")) == []
    with closing(sqlite3.connect(site.folder / "state" / "journal.sqlite3")) as db:
        assert db.execute("SELECT count(*) FROM image").fetchone() == (IMAGES,)


def has_written(site: Site, before: int) -> Callable[[], bool]:
    return lambda: count(site) > before or before == IMAGES


def count(site: Site) -> int:
    return sum(1 for _ in site.results.rglob("*.jpg.json")) if site.results.exists() else 0
