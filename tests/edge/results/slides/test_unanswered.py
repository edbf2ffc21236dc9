"""No word of a person is lost without a line (property test over random orders and clocks)."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

from edge.results.document.result import Person, SlideResult, slide_key
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.verification.verification_file import VerificationFile
from tests.edge.results.slides.look import Lab
from tests.support.sidecar_cells import slide_of

PEOPLE = (Person("a", "Anna"), Person("k", "Kim"))
CLOCKS_S = (-15, 0, 0, 15)
SLIDES = 40


@dataclass(slots=True)
class Story:
    """What was said and signed of a slide."""

    cells: list[SidecarCell]
    words: list[VerificationFile] = field(default_factory=list)
    signed: list[SlideResult] = field(default_factory=list)

    def unanswered(self) -> list[VerificationFile]:
        """The newest words of persons that no result has taken, and that differ from the last."""
        labels = {cell.sha256: cell.label for cell in self.signed[-1].cells}
        used = [(r.verification.by, r.verification.at) for r in self.signed if r.verification]
        newest = {one.by: one for one in sorted(self.words, key=lambda one: one.at)}.values()
        return [w for w in newest if w.labels != labels and (w.by, w.at) not in used]


def look(lab: Lab, stories: list[Story]) -> dict[str, list[str]]:
    """Issue what is new; returns why slides are held, by the sample."""
    report = lab.look([cell for story in stories for cell in story.cells])
    of_sample = {story.cells[0].sample_id: story for story in stories}
    for result in report.new:
        assert lab.issued.add(result)
        if result.verification:
            of_sample[result.sample_id].signed.append(result)
    held = defaultdict(list)
    for one in report.held:
        held[one.sample_id or ""].append(one.reason)
    return held


def test_words_that_differ_from_what_is_signed_stay_told_in_any_order(lab: Lab) -> None:
    draw = random.Random(7)  # noqa: S311 - the same story on every run
    stories = [
        Story(slide_of(lab.root, [None, "ig"], ids=(f"S{n}", None), folder=f"S{n}"))
        for n in range(SLIDES)
    ]
    for _ in range(4):
        lab.now += timedelta(seconds=20)
        for story in stories:
            last = lab.issued.last(slide_key(story.cells[0].sample_id or "", None))
            label = draw.choice(["neutrophil", "lymphocyte", "other"])
            word = lab.verify(
                story.cells,
                revision=draw.randint(0, last.revision if last else 0),
                by=draw.choice(PEOPLE),
                at=lab.now + timedelta(seconds=draw.choice(CLOCKS_S)),
                relabel=lambda old, label=label: old or label,  # type: ignore[misc]
            )
            story.words.append(word)
        look(lab, [story for story in stories if draw.random() < 0.6])
    for _ in range(3):
        held = look(lab, stories)
    told = quiet = 0
    for story in stories:
        reasons = held[story.cells[0].sample_id or ""]
        if story.signed and story.unanswered():
            assert reasons
            told += 1
        elif not reasons:
            quiet += 1
    assert told > SLIDES / 5
    assert quiet > SLIDES / 5
