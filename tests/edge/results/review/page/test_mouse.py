"""Labels by mouse: buttons that do what the keys do, and leave the focus with the cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By

from edge.results.document.result import CELL_CLASSES, NOT_COUNTED
from edge.results.review.record.entry import Action, Entry
from edge.results.review.record.record import Record
from tests.support.page_user import PageUser
from tests.support.review_server import RunningPage
from tests.support.review_site import CellSpec, ReviewSite, mixed_cells

Serve = Callable[..., RunningPage]
SMALL = {"neutrophil": 8, "lymphocyte": 4}


def entries(site: ReviewSite) -> list[Entry]:
    with Record.open(site.state) as record:
        return list(record.all())


def labels(site: ReviewSite) -> list[list[str | None]]:
    """The labels of each decision, in order."""
    decisions = [entry for entry in entries(site) if entry.action is Action.DECIDE]
    return [[cell.after for cell in entry.cells] for entry in decisions]


def button_of(person: PageUser, label: str) -> Any:
    return person.browser.find_element(By.CSS_SELECTOR, f"#labels [data-label={label}]")


def pressed(person: PageUser) -> dict[str, str]:
    """The labels that are marked, and how."""
    buttons = person.browser.find_elements(By.CSS_SELECTOR, "#labels [data-label]")
    states = {
        str(b.get_attribute("data-label")): str(b.get_attribute("aria-pressed")) for b in buttons
    }
    assert set(states) == {*CELL_CLASSES, *NOT_COUNTED}
    return {label: state for label, state in states.items() if state != "false"}


def test_clicked_label_does_what_its_key_does(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    person.open(serve(), "S1")
    second = person.run("document.querySelectorAll('#gallery .tile')[1].dataset.id")
    assert pressed(person) == {"neutrophil": "true"}
    button_of(person, "monocyte").click()
    person.saved()
    assert labels(site) == [["monocyte"]]
    assert person.focused == second
    person.press("b")
    person.saved()
    assert labels(site) == [["monocyte"], ["basophil"]]


def test_clicked_label_is_given_to_all_selected_cells(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", [CellSpec("neutrophil", confidence) for confidence in (0.5, 0.6, 0.7)])
    person.open(serve(), "S1")
    person.run("slideScreen.select(slideScreen.ids.slice(0, 2), slideScreen.focusId)")
    button_of(person, "ig").click()
    person.saved()
    assert labels(site) == [["ig", "ig"]]


def test_double_click_labels_one_cell(site: ReviewSite, serve: Serve, person: PageUser) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    person.open(serve(), "S1")
    ActionChains(person.browser).double_click(button_of(person, "monocyte")).perform()
    person.saved()
    assert labels(site) == [["monocyte"]]


def test_enter_on_a_label_presses_it_once_and_decides_no_other_cell(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    person.open(serve(), "S1")
    person.run("document.querySelector('#labels [data-label=monocyte]').focus()")
    person.press_enter()
    person.saved()
    assert labels(site) == [["monocyte"]]


def test_buttons_of_keys_leave_the_focus_with_the_cells(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    person.open(serve(), "S1")
    cell = person.focused
    compare = person.browser.find_element(By.ID, "compare")
    compare.click()
    person.reads("reference", "Reference: Neutrophil")
    assert (person.focused, compare.get_attribute("aria-pressed")) == (cell, "true")
    compare.click()
    assert not person.browser.find_element(By.ID, "reference").is_displayed()
    person.see("//button[@id='large']").click()
    person.see("//dialog[@open]//table")
    person.see("//dialog//button[.='Close (Escape)']").click()
    assert person.focused == cell


def test_button_of_a_label_names_key_and_class(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(SMALL))
    person.open(serve(), "S1")
    button = button_of(person, "erythroblast")
    assert button.text == "r NRBC"
    assert button.accessible_name == "r NRBC: Erythroblast"
    assert button.get_attribute("aria-keyshortcuts") == "r"


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1024, 768)])
def test_labels_are_whole_and_in_sight(
    site: ReviewSite, serve: Serve, person: PageUser, width: int, height: int
) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    person.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    # The longest short name, in bold as the present label.
    site.add_slide("S1", mixed_cells({"erythroblast": 8}))
    person.open(serve(), "S1")
    assert pressed(person) == {"erythroblast": "true"}
    buttons = "[...document.querySelectorAll('#labels button')]"
    assert person.run(f"{buttons}.filter((b) => b.scrollWidth > b.clientWidth).length") == 0
    last = button_of(person, "other").rect
    assert last["x"] + last["width"] <= width
    assert last["y"] + last["height"] <= height
    assert person.run("document.documentElement.scrollWidth") <= width
