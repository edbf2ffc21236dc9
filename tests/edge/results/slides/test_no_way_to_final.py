"""No way leads to a signed result without a named person and every cell seen (property test).

Analyzer, model and people act at random; each result that leaves is held against what people said.
"""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from edge.errors import ConfigError
from edge.results.document.result import Person, SlideResult, State, slide_key
from edge.results.reading.sidecar_cell import SidecarCell
from tests.edge.results.slides.look import Lab
from tests.support.sidecar_cells import cell_of, slide_of
from tests.support.slide_results import PERSON, sha_of

LABELS: list[str | None] = ["neutrophil", "neutrophil", "lymphocyte", "ig", "platelet", None]
PEOPLE = (PERSON, Person("kl", "Kim Lee"), Person("", "Nobody"), Person("x", " "))


@dataclass(slots=True)
class Acts:
    """One slide, and what happens to it."""

    lab: Lab
    draw: random.Random
    cells: list[SidecarCell]
    number: int = 0
    said: dict[tuple[str, str], set[tuple[str, str]]] = field(default_factory=dict)
    issued: list[SlideResult] = field(default_factory=list)

    def act(self) -> None:
        self.number += 1
        self.lab.now += timedelta(minutes=self.draw.randint(2, 90))
        acts = (self.export, self.replace_image, self.delete, self.label_anew, self.forge)
        self.draw.choice((*acts, *[self.verify] * 4))()
        for result in self.lab.look(self.cells).new:
            assert self.lab.issued.add(result)
            self.issued.append(result)

    def export(self) -> None:
        image = f"S1/slide-1/late-{self.number}.jpg"
        self.cells.append(cell_of(self.lab.root, image, self.draw.choice(LABELS)))

    def replace_image(self) -> None:
        place = self.draw.randrange(len(self.cells))
        sha256 = sha_of(f"changed {self.number}")
        self.cells[place] = replace(self.cells[place], sha256=sha256)

    def delete(self) -> None:
        if len(self.cells) > 3:
            self.cells.pop(self.draw.randrange(len(self.cells)))

    def label_anew(self) -> None:
        self.cells = [replace(one, label=self.draw.choice(LABELS)) for one in self.cells]

    def forge(self) -> None:
        """A verification that the program did not write, or wrote for other cells."""
        for path in sorted(self.lab.verifications.glob("*.json"))[:1]:
            fields = json.loads(path.read_bytes())
            nobody, blank = {"by": None}, {"by": {"id": " ", "name": "\t"}}
            later = {"at": (self.lab.now + timedelta(hours=1)).isoformat()}
            unknown = {"cells": [one | {"label": "unidentified"} for one in fields["cells"]]}
            fewer = {"cells": fields["cells"][1:], "at": self.lab.now.isoformat()}
            fields |= self.draw.choice([nobody, blank, later, unknown, fewer])
            path.with_name("by hand.json").write_text(json.dumps(fields))

    def verify(self) -> None:
        other = [*self.cells, cell_of(self.lab.root, "S1/slide-1/never.jpg")]
        seen = self.draw.choice([self.cells, self.cells, self.cells, self.cells[1:], other])
        last = self.lab.issued.last(slide_key("S1", "slide-1"))
        right = last.revision if last else 0
        try:
            made = self.lab.verify(
                seen,
                revision=self.draw.choice([right, right, self.draw.randint(0, 9)]),
                by=self.draw.choice(PEOPLE),
                relabel=lambda label: label or self.draw.choice(["basophil", "artefact", "other"]),
            )
        except ConfigError:
            return  # nobody signs nothing
        self.said[made.by.id, made.at.isoformat()] = set(made.labels.items())


@pytest.mark.parametrize("seed", range(10))
def test_signed_results_are_what_a_named_person_said_of_every_cell(lab: Lab, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - the same acts on every run
    acts = Acts(lab, draw, slide_of(lab.root, draw.choices(LABELS, k=8)))
    for _ in range(25):
        acts.act()
    assert acts.issued
    for before, after in itertools.pairwise(acts.issued):
        assert after.completed > before.completed
        assert after.replaces == before.result_id
        assert not (before.verification and after.state is State.PRELIMINARY)
    for result in acts.issued:
        if result.state is State.PRELIMINARY:
            continue
        assert result.verification is not None
        person = result.verification.by
        assert person in PEOPLE[:2]
        said = acts.said[person.id, result.verification.at.isoformat()]
        assert {(cell.sha256, cell.label) for cell in result.cells} == said
        assert {cell.reviewed_by for cell in result.cells} == {person.id}


def test_acts_lead_to_final_and_corrected_results_and_to_held_ones(lab: Lab) -> None:
    acts = Acts(lab, random.Random(3), slide_of(lab.root, ["ig"] * 8))  # noqa: S311
    held = 0
    for _ in range(70):
        acts.act()
        held += len(lab.look(acts.cells).held)
    assert {result.state for result in acts.issued} == set(State)
    assert held > 10
