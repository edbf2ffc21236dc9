"""Signatures and corrections in a real browser, with a real server and record."""

from __future__ import annotations

from collections.abc import Callable

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from edge.results.review.record.entry import Action
from tests.support.page_user import PageUser
from tests.support.review_records import entries
from tests.support.review_server import RunningPage
from tests.support.review_site import ReviewSite, mixed_cells
from tests.support.waiting import until

Serve = Callable[..., RunningPage]
SMALL = {"neutrophil": 8, "lymphocyte": 4, "monocyte": 2}


def test_slide_is_signed_and_printed_with_its_record(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 5, "lymphocyte": 1}))
    person.open(serve(), "S1")
    person.press("m")
    until(lambda: person.group == "neutrophil")
    person.look()
    person.press_enter()
    until(lambda: person.group == "lymphocyte")
    person.look()
    person.press_enter()
    person.see("//button[@id='sign-go'][not(@disabled)]")
    assert "Neutrophil → Monocyte" in person.browser.find_element(By.ID, "dialog").text
    person.press_enter()
    person.see("//button[@id='sign-next']")
    (signed,) = [entry for entry in entries(site) if entry.action is Action.SIGN]
    sheet = str(person.run("document.getElementById('sheet').textContent"))
    assert f"record {signed.number}, {signed.hash[:12]}" in sheet
    assert "Neutrophil → Monocyte" in sheet
    assert len(list(site.verifications.glob("*.json"))) == 1


def test_signature_dialog_that_was_left_opens_again(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 3}))
    person.open(serve(), "S1")
    person.press_enter()
    person.see("//button[@id='sign-go'][not(@disabled)]")
    person.press(Keys.ESCAPE)
    until(lambda: person.focused != "None")
    person.press("m")
    person.saved()
    person.press("s")
    person.see("//button[@id='sign-go'][not(@disabled)]")
    assert "Neutrophil → Monocyte" in person.browser.find_element(By.ID, "dialog").text


def test_signature_is_under_what_was_shown_and_nothing_newer(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 3}))
    running = serve()
    person.open(running, "S1")
    cell, key = person.focused, person.run("slideScreen.key")
    person.press_enter()
    person.see("//button[@id='sign-go'][not(@disabled)]")
    body = {
        "request": "0" * 32,
        "action": "decide",
        "cells": [{"id": cell, "before": "neutrophil"}],
        "label": "eosinophil",
    }
    assert running.client().post(f"/api/slides/{key}/entries", body).status == 200
    person.press_enter()
    person.reads("dialog", "Neutrophil → Eosinophil")
    assert [entry.action for entry in entries(site) if entry.action is Action.SIGN] == []


def test_correction_of_a_signed_slide_asks_for_a_reason(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 3}))
    person.open(serve(), "S1")
    key = person.run("slideScreen.key")
    person.press_enter()
    person.sign()
    person.press_enter()
    person.see("//details//tr")
    person.run("void slideScreen.open(arguments[0])", key)
    until(lambda: person.run("slideScreen.key") == key)
    person.look()
    person.press("m")
    person.saved()
    person.press("s")
    reason = person.see("//input[@id='reason']")
    person.press_enter()
    signed = [entry for entry in entries(site) if entry.action is Action.SIGN]
    assert len(signed) == 1
    reason.send_keys("second smear" + Keys.ENTER)
    person.see("//button[@id='sign-next']")
    *_, last = [entry for entry in entries(site) if entry.action is Action.SIGN]
    assert last.text == "second smear"
    assert sorted(str(cell.after) for cell in last.cells) == ["monocyte", *["neutrophil"] * 2]
