"""What a morphologist sees and does, in a real browser with a real server and record."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from edge.results.review.desk.desk import Desk
from edge.results.review.record.entry import Action
from tests.support.browser import events_of, hosts_asked
from tests.support.page_user import PageUser
from tests.support.review_records import decided, entries
from tests.support.review_server import RunningPage
from tests.support.review_site import CellSpec, ReviewSite, mixed_cells
from tests.support.waiting import until

Serve = Callable[..., RunningPage]
SMALL = {"neutrophil": 8, "lymphocyte": 4, "monocyte": 2}


@dataclass
class GatedDesk(AbstractContextManager[Any]):
    """A desk that answers decisions only while the gate is open."""

    desk: Desk
    gate: threading.Event

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _t: TracebackType | None,
    ) -> None:
        self.desk.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.desk, name)

    def decide(self, *values: Any) -> Any:
        assert self.gate.wait(30)
        return self.desk.decide(*values)


def test_page_asks_no_other_host_and_breaks_none_of_its_own_rules(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    running = serve()
    person.open(running, "S1")
    person.press("c", "d")
    person.see("//dialog[@open]//table")
    assert hosts_asked(events_of(person.browser)) == {running.host}
    log = person.browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert [line for line in log if "favicon" not in line["message"]] == []


def test_name_with_markup_is_shown_as_text(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("<img src=x onerror=alert(1)>", mixed_cells(SMALL))
    person.enter(serve())
    cell = person.see("//tr[@data-key]/th")
    assert cell.text == "<img src=x onerror=alert(1)>"
    assert person.browser.find_elements(By.XPATH, "//tr//img") == []


def test_enter_decides_what_was_on_the_screen_and_nothing_else(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 100, "lymphocyte": 2}))
    person.open(serve(), "S1")
    seen = person.run("[...document.querySelectorAll('.tile:not(.unseen)')].length")
    assert 40 < seen < 100
    person.press_enter()
    person.saved()
    assert len(decided(site)) == seen == person.tiles("decided")
    assert person.group == "neutrophil"
    person.look()
    person.press_enter()
    until(lambda: person.group == "lymphocyte")
    person.saved()
    assert len(decided(site)) == 100


def test_enter_before_the_images_are_there_decides_nothing(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    running = serve()
    person.enter(running)
    person.see("//tr[@data-key]")
    # In one step of the browser: no image can have been loaded in between.
    person.run(
        "(async () => { await slideScreen.open(document.querySelector('tr[data-key]').dataset.key);"
        " document.activeElement.dispatchEvent(new KeyboardEvent('keydown', "
        "{ key: 'Enter', bubbles: true })); })()"
    )
    person.look()
    assert person.tiles("decided") == person.tiles("pending") == 0
    assert decided(site) == {}


def test_label_key_moves_the_cell_and_the_next_one_gets_the_focus(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    person.open(serve(), "S1")
    first, second = person.run(
        "[...document.querySelectorAll('#gallery .tile')].slice(0, 2).map((t) => t.dataset.id)"
    )
    assert person.focused == first
    person.press("m")
    person.saved()
    assert person.focused == second
    assert list(decided(site).values()) == ["monocyte"]
    person.reads("status", "1 cell saved")


def test_decision_is_shown_as_saved_only_when_it_is_recorded(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    gate = threading.Event()
    person.open(serve(wrap=lambda desk: GatedDesk(desk, gate)), "S1")
    person.press("n")
    assert (person.tiles("pending"), person.tiles("decided")) == (1, 0)
    assert decided(site) == {}
    gate.set()
    until(lambda: person.tiles("decided") == 1)
    assert person.tiles("pending") == 0
    assert list(decided(site).values()) == ["neutrophil"]


def test_undo_says_what_it_took_back(site: ReviewSite, serve: Serve, person: PageUser) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    person.open(serve(), "S1")
    cell = person.focused
    person.press("m", "u")
    person.reads("status", "Taken back: 1 cell, now Neutrophil")
    assert person.focused == cell
    assert person.tiles("decided") == 0
    assert [entry.action for entry in entries(site)] == [Action.DECIDE, Action.UNDO]


def test_selected_cells_get_a_label_together(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    person.open(serve(), "S1")
    person.press(Keys.SHIFT + Keys.ARROW_RIGHT + Keys.NULL)
    person.press(Keys.SHIFT + Keys.ARROW_RIGHT + Keys.NULL)
    assert person.tiles("selected") == 3
    person.press("b")
    person.saved()
    assert list(decided(site).values()) == ["basophil"] * 3
    assert len(entries(site)) == 1


def test_changed_image_says_why_and_cannot_be_decided(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", [CellSpec("neutrophil", 0.5), *mixed_cells({"neutrophil": 3})])
    image = site.export / "S1/slide-1/IMG0001.jpg"
    image.write_bytes(image.read_bytes() + b"x")
    person.open(serve(), "S1")
    person.reads("focus", "image")
    person.press("l")
    person.reads("status", "An image is missing")
    person.press_enter()
    person.saved()
    assert len(decided(site)) == 3
    assert person.tiles("missing") == 1


def test_decisions_are_kept_while_the_program_is_away_and_recorded_once(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    with ExitStack() as first:
        running = serve(stack=first)
        port = running.port
        person.open(running, "S1")
    person.press("m", "l")
    person.reads("lines", "Not saved yet: 2 decisions")
    assert person.tiles("pending") == 0  # They left this group.
    again = serve(port=port)
    # The program knows the browser no longer; another tab brings the new address.
    person.reads("cover", "press Enter")
    assert "2 decisions are not saved yet" in person.browser.find_element(By.ID, "cover").text
    person.run("void fetch(arguments[0], { redirect: 'manual' })", again.page.new_address())
    person.saved()
    assert list(decided(site).values()) == ["monocyte", "lymphocyte"]
    assert len(entries(site)) == 2
    assert not person.browser.find_element(By.ID, "cover").is_displayed()


def test_decision_in_a_reloaded_tab_is_still_sent(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    gate = threading.Event()
    running = serve(wrap=lambda desk: GatedDesk(desk, gate))
    person.open(running, "S1")
    person.press("m")
    person.run("(() => { outgoing.items = []; location.reload(); })()")
    gate.set()
    person.look()
    until(lambda: len(decided(site)) == 1)
    person.saved()
    assert len(entries(site)) == 1


def test_cell_that_somebody_else_changed_is_shown_and_not_overwritten(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    running = serve()
    person.open(running, "S1")
    cell, key = person.focused, person.run("slideScreen.key")
    # The page would see the change by itself within seconds.
    person.run("clearInterval(slideScreen.poll)")
    other = running.client()
    body = {
        "request": "0" * 32,
        "action": "decide",
        "cells": [{"id": cell, "before": "neutrophil"}],
        "label": "eosinophil",
    }
    assert other.post(f"/api/slides/{key}/entries", body).status == 200
    person.press("m")
    person.reads("lines", "changed the cell before you: cell")
    assert list(decided(site).values()) == ["eosinophil"]
    assert person.run("slideScreen.cellOf.get(arguments[0]).label", cell) == "eosinophil"


def test_page_that_nobody_uses_is_covered(site: ReviewSite, serve: Serve, person: PageUser) -> None:
    site.add_slide("SECRET", mixed_cells(SMALL))
    person.open(serve(), "SECRET")
    person.run("cover('idle')")
    assert "SECRET" not in person.browser.find_element(By.TAG_NAME, "body").text
    person.press("m")
    assert decided(site) == {}
    person.press_enter()
    until(lambda: "SECRET" in person.browser.find_element(By.TAG_NAME, "body").text)
    assert person.focused


def test_screen_readers_are_told_label_certainty_and_state(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", [CellSpec("neutrophil", 0.93)])
    person.open(serve(), "S1")
    name = "document.activeElement.getAttribute('aria-label')"
    assert person.run(name) == "Neutrophil, 93 %, undecided"
    person.press("n")
    until(lambda: person.run(name) == "Neutrophil, 93 %, decided")


def test_undo_before_the_answer_takes_back_the_decision_on_its_way(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    gate = threading.Event()
    person.open(serve(wrap=lambda desk: GatedDesk(desk, gate)), "S1")
    person.press("m", "u", "g")
    gate.set()
    person.saved()
    assert [entry.action for entry in entries(site)] == [Action.DECIDE, Action.UNDO]
