"""Looks that pass over slides which stayed as they were find the same as looks at all slides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from edge.results.document.result import CELL_CLASSES, SlideResult, State
from edge.results.reading.sidecar_cell import SidecarCell
from edge.results.slides.completeness import Completeness
from edge.results.slides.outcome import SlideReport
from edge.results.slides.settled import Settled
from tests.edge.results.slides.look import HOUR, Lab
from tests.support.sidecar_cells import cell_of, slide_of

IDS = ("S1", "S2", "S3", "s3")


@dataclass(slots=True)
class Scene:
    """A lab in which something happens before each look."""

    lab: Lab
    chance: Random
    cells: dict[str, list[SidecarCell]]
    count: int = 0
    unread: tuple[Path, ...] = ()

    def a_slide(self) -> tuple[str, list[SidecarCell]]:
        key = self.chance.choice([key for key, cells in self.cells.items() if cells])
        return key, self.cells[key]

    def cell_comes(self) -> None:
        self.new_cell(self.chance.choice(IDS))

    def cell_of_two_slides_comes(self) -> None:
        _, cells = self.a_slide()
        self.new_cell(self.chance.choice(IDS), sha256=cells[0].sha256)

    def new_cell(self, sample: str, sha256: str | None = None) -> None:
        self.count += 1
        image = f"{sample}/late-{self.count}.jpg"
        label = self.chance.choice((*CELL_CLASSES, None))
        new = cell_of(
            *(self.lab.root, image, label), ids=(sample, None), created=self.lab.now, sha256=sha256
        )
        self.cells.setdefault(sample, []).append(new)

    def cell_goes(self) -> None:
        _, cells = self.a_slide()
        del cells[self.chance.randrange(len(cells))]

    def label_changes(self) -> None:
        _, cells = self.a_slide()
        place = self.chance.randrange(len(cells))
        cells[place] = replace(cells[place], label=self.chance.choice(CELL_CLASSES))

    def person_verifies(self) -> None:
        key, cells = self.a_slide()
        self.lab.now += HOUR / 60
        last = next(iter(self.last(key)), None)
        self.lab.verify(
            cells, revision=last.revision if last else 0, relabel=lambda label: label or "artefact"
        )

    def person_writes_the_file(self) -> None:
        self.person_verifies()
        newest = max(self.lab.verifications.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        newest.rename(newest.with_name(f"by-hand-{self.chance.randrange(3)}.json"))

    def manifest_changes(self) -> None:
        key, cells = self.a_slide()
        folder = self.lab.root / key
        folder.mkdir(exist_ok=True)
        count = self.chance.choice(("", len(cells), len(cells) + 1))
        wbc = self.chance.choice(("", "7.3", "8.1"))
        text = f"path,sample_id,cells,wbc\n.,{self.chance.choice((key, 'S9'))},{count},{wbc}\n"
        (folder / "manifest.csv").write_text(text)

    def manifest_goes(self) -> None:
        (self.lab.root / self.a_slide()[0] / "manifest.csv").unlink(missing_ok=True)

    def operator_speaks(self) -> None:
        cells = self.a_slide()[1]
        for result in self.last(cells[0].sample_id or ""):
            self.lab.issued.say_complete(result.slide_key, by="mm", at=self.lab.now)

    def sidecar_cannot_be_read(self) -> None:
        key, _ = self.a_slide()
        self.unread = () if self.unread else (self.lab.root / key / "torn.jpg.json",)

    def time_passes(self) -> None:
        self.lab.now += HOUR / 6

    def last(self, sample: str) -> list[SlideResult]:
        keys = self.lab.issued.slides_of(sample)
        return [found for key in keys if (found := self.lab.issued.last(key))]

    def look(self, settled: Settled | None = None) -> SlideReport:
        cells = [cell for one in self.cells.values() for cell in one]
        return self.lab.look(cells, unread=self.unread, settled=settled)

    @property
    def events(self) -> list[Callable[[], None]]:
        return [
            *(self.cell_comes, self.cell_of_two_slides_comes, self.cell_goes, self.label_changes),
            *(self.person_verifies, self.person_writes_the_file, self.manifest_changes),
            *(self.manifest_goes, self.operator_speaks, self.sidecar_cannot_be_read),
            *(self.time_passes, self.time_passes),
        ]


@pytest.mark.parametrize("seed", range(3))
def test_looks_that_pass_over_settled_slides_find_what_whole_looks_find(
    lab: Lab, seed: int
) -> None:
    lab.completeness = Completeness(quiet_s=300)
    started = {
        ids: slide_of(lab.root, ["neutrophil"] * 3 + ["lymphocyte"], ids=(ids, None), folder=ids)
        for ids in IDS[:3]
    }
    scene, settled = Scene(lab, Random(seed), started), Settled()  # noqa: S311 - a simulation
    issued = passed_over = 0
    for _ in range(50):
        scene.chance.choice(scene.events)()
        whole, quick = scene.look(), scene.look(settled)
        assert opened(quick) == opened(whole)
        passed_over += len(whole.standing) - len(quick.standing)
        for result in quick.new:
            issued += lab.issued.add(result)
    assert issued > 3
    assert passed_over > 9


def opened(report: SlideReport) -> tuple[object, ...]:
    """What a look finds to be done."""
    return report.new, report.incomplete, report.held, report.unidentified


def test_settled_slide_is_passed_over_until_it_is_cleared(lab: Lab) -> None:
    cells = slide_of(lab.root, ["neutrophil"] * 3)
    result, settled = lab.issue(cells), Settled()
    assert lab.look(cells, settled=settled).standing == (result,)
    assert lab.look(cells, settled=settled).standing == ()
    settled.clear()
    assert lab.look(cells, settled=settled).standing == (result,)


def test_verification_that_a_person_named_is_found_for_a_settled_slide(lab: Lab) -> None:
    cells = slide_of(lab.root, ["neutrophil"] * 3)
    lab.issue(cells)
    settled = Settled()
    assert lab.look(cells, settled=settled).new == ()
    lab.verify(cells, revision=1)
    (written,) = lab.verifications.iterdir()
    written.rename(lab.verifications / "by-hand.json")
    (final,) = lab.look(cells, settled=settled).new
    assert final.state is State.FINAL
