"""No sequence of actions makes a result final without a named person who decided every cell.

What the persons did is kept here by a rule of its own: a person has decided a cell if one of the
person's answered decisions gave it the label that was signed, and was not taken back.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from edge.results.document.result import (
    CELL_CLASSES,
    NOT_COUNTED,
    Person,
    SlideResult,
    State,
    short_hash,
)
from edge.results.issued.issued import Issued
from edge.results.review.desk.desk import Desk
from edge.results.review.refusal import Refusal
from edge.results.send.issuing import Issuing
from tests.edge.results.review.desk.conftest import Clock, Page
from tests.support.review_site import AKI, MINA, CellSpec, ReviewSite

PERSONS = (MINA, AKI, Person("jo", "Jo Nesbø"))
# EDGE_SEQUENCES=1000 for a long run.
SEQUENCES = int(os.environ.get("EDGE_SEQUENCES", "16"))
ACTIONS = 60
IDS = {"sample_id": "S1", "slide_id": "slide-1"}


@dataclass(frozen=True, slots=True)
class Decision:
    """An answered decision: its entry, who gave which label to which cells, by their hashes."""

    number: int
    by: str
    labels: dict[str, str]


class Story:
    """One slide, several persons, and whatever happens to it."""

    def __init__(self, site: ReviewSite, draw: random.Random) -> None:
        self.site = site
        self.draw = draw
        self.is_blind = bool(site.review["second_reader"])
        self.decisions: list[Decision] = []
        self.results: list[SlideResult] = []
        self.done: Counter[str] = Counter()
        self.images = 4
        labels = [draw.choice([*CELL_CLASSES, None]) for _ in range(self.images)]
        site.add_slide("S1", [CellSpec(one) for one in labels])
        self._clock = Clock()
        self._opened = ExitStack()
        self._open()

    def _open(self) -> None:
        config = self.site.config
        clock = self._clock
        self._issued = self._opened.enter_context(Issued.open(config.state_dir))
        self._issuing = Issuing(config.slides, self._issued, lambda _line: None, clock=clock)
        desk = Desk.open(config.slides, config.review, config.state_dir, clock=clock)
        self._opened.enter_context(desk)
        (row,) = desk.slides(None)["slides"]
        persons = PERSONS[:2] if self.is_blind else PERSONS
        self.pages = [Page(desk, row["key"], person, clock) for person in persons]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def act(self) -> None:
        """One action; the persons decide and sign most often."""
        names = [
            "decide",
            "confirm",
            "undo",
            "note",
            "finish",
            "sign",
            "issue",
            "export",
            "restart",
        ]
        (name,) = self.draw.choices(names, [4, 12, 2, 1, 5, 7, 4, 1, 1])
        page = self.draw.choice(self.pages)
        try:
            getattr(self, f"_{name}")(page)
        except Refusal:
            self.done[f"{name} refused"] += 1
        else:
            self.done[name] += 1

    def _decide(self, page: Page) -> None:
        cells = page.cells()
        chosen = self.draw.sample(cells, self.draw.randint(1, len(cells)))
        label = self.draw.choice([*CELL_CLASSES, *NOT_COUNTED])
        self._give(page, chosen, label)

    def _confirm(self, page: Page) -> None:
        if self.draw.random() < 0.7 and (nameless := page.cells(None)):
            self._give(page, nameless, self.draw.choice(CELL_CLASSES))
        self._give(page, [one for one in page.cells() if one["label"] is not None], None)

    def _give(self, page: Page, cells: list[dict[str, Any]], label: str | None) -> None:
        names = self._names(page)
        if self.draw.random() < 0.04:
            # It comes while the person looks at what the page showed before.
            self._export(page)
            page.desk.slides(page.person)
        answer = page.decide(cells, label)
        labels = {names[one["id"]]: label or one["label"] for one in cells}
        self.decisions.append(Decision(answer["entry"], page.person.id, labels))

    def _undo(self, page: Page) -> None:
        number = page.slide()["undo"]
        page.post(action="undo", undoes=number or 1)
        # An answered decision that changed nothing has the number of an earlier entry.
        self.decisions = [one for one in self.decisions if one.number != number]

    def _note(self, page: Page) -> None:
        page.post(action="note", text="pale")

    def _finish(self, page: Page) -> None:
        page.post(action="finish")

    def _sign(self, page: Page) -> None:
        page.sign(reason=self.draw.choice([None, "wrong at first"]))

    def _issue(self, _page: Page) -> None:
        self._clock.go_on()
        self._issuing.issue()
        if (last := self._issued.last(self.pages[0].key)) and last not in self.results:
            self.results.append(last)
            self.check(last)

    def _export(self, _page: Page) -> None:
        """A late image, or another one under an old name."""
        if self.draw.random() < 0.5:
            self.images += 1
        spec = CellSpec(self.draw.choice([*CELL_CLASSES, None]), self.draw.uniform(0.5, 0.99))
        name = f"S1/slide-1/IMG{self.draw.randint(1, self.images):04}.jpg"
        self.site.add_image(name, spec, **IDS, version=self.draw.random())

    def _restart(self, _page: Page) -> None:
        self._opened.close()
        self._open()

    def _names(self, page: Page) -> dict[str, str]:
        """The hash of each image by its id, from the files themselves."""
        return {
            short_hash(f"{page.key}\0{path.relative_to(self.site.export)}\0{sha256}"): sha256
            for path in self.site.export.rglob("*.jpg")
            for sha256 in [hashlib.sha256(path.read_bytes()).hexdigest()]
        }

    def check(self, result: SlideResult) -> None:
        """A verified result stands on decisions of the person whom it names."""
        if result.state is State.PRELIMINARY:
            return
        self.done["final"] += 1
        assert result.verification is not None
        signer = result.verification.by
        assert signer in PERSONS
        assert {cell.reviewed_by for cell in result.cells} == {signer.id}
        for cell in result.cells:
            assert cell.label is not None
            assert self._has_decided(signer.id, cell.sha256, cell.label)
        if self.is_blind and result.state is State.FINAL:
            for cell in result.cells:
                said = {one.by for one in self.decisions if cell.sha256 in one.labels}
                assert len(said) >= 2

    def _has_decided(self, person: str, sha256: str, label: str) -> bool:
        return any(one.by == person and one.labels.get(sha256) == label for one in self.decisions)


@pytest.mark.parametrize("is_blind", [False, True], ids=["shared", "blind"])
def test_no_sequence_of_actions_leads_to_final_without_a_person_who_decided_every_cell(
    tmp_path: Path, *, is_blind: bool
) -> None:
    done: Counter[str] = Counter()
    for number in range(SEQUENCES):
        folder = tmp_path / str(number)
        folder.mkdir()
        draw = random.Random(f"{is_blind} {number}")  # noqa: S311 - repeatable
        with Story(ReviewSite(folder, {"second_reader": is_blind}), draw) as story:
            for _ in range(ACTIONS):
                story.act()
            done += story.done
    # Both ends were come to again and again: final results, and refused signatures.
    assert done["final"] >= SEQUENCES / 3, done
    assert done["sign refused"] >= SEQUENCES
    assert done["undo"]
    assert done["export"]
    assert not is_blind or done["finish"]
