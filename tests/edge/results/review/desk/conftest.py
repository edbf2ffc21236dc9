"""A laboratory with a desk, and calls as the page makes them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.results.document.result import Person
from edge.results.review.desk.desk import Desk
from tests.support.review_site import MINA, ReviewSite


class Clock:
    """Goes on when a test says it: between two looks at the folders there must be a pause."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def go_on(self) -> None:
        self.now_s += 10_000.0


class Page:
    """Asks the desk as the page of one person does, long after it asked before."""

    def __init__(
        self, desk: Desk, key: str, person: Person = MINA, clock: Clock | None = None
    ) -> None:
        self.desk = desk
        self.key = key
        self.person = person
        self.clock = clock or Clock()

    def slide(self) -> dict[str, Any]:
        self.clock.go_on()
        return self.desk.slide(self.person, self.key)

    def cells(self, label: str | None = "*") -> list[dict[str, Any]]:
        return [c for c in self.slide()["cells"] if label in {"*", c["label"]}]

    def decide(
        self, cells: list[dict[str, Any]], label: str | None = None, request: str | None = None
    ) -> dict[str, Any]:
        return self.post(
            action="decide",
            cells=[{"id": one["id"], "before": one["label"]} for one in cells],
            label=label,
            request=request or secrets.token_hex(16),
        )

    def post(self, **body: Any) -> dict[str, Any]:
        body = {"request": secrets.token_hex(16), **body}
        return self.desk.decide(self.person, "system", self.key, body)

    def sign(self, reason: str | None = None, **changes: Any) -> dict[str, Any]:
        shown = self.desk.differential_job(self.person, self.key)()["digest"]
        seen = {**self.desk.entry(self.key), "shown": shown}
        body = {"request": secrets.token_hex(16), "reason": reason, **seen, **changes}
        return self.desk.sign(self.person, "system", self.key, body)


@pytest.fixture
def site(tmp_path: Path) -> ReviewSite:
    return ReviewSite(tmp_path)


@pytest.fixture
def desk(site: ReviewSite) -> Iterator[Desk]:
    """Looks at the slides when it is opened: export them before."""
    config = site.config
    with Desk.open(config.slides, config.review, config.state_dir) as opened:
        yield opened
