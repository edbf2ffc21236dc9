"""What happens to people at the page: held keys, second tabs, sleep, the button Back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from edge.results.review.record.entry import Action
from tests.support.page_user import PageUser
from tests.support.review_records import entries
from tests.support.review_server import MINA, OTTO, PIN, RunningPage
from tests.support.review_site import ReviewSite, mixed_cells
from tests.support.waiting import until

Serve = Callable[..., RunningPage]
LISTED = [{"id": one.id, "name": one.name, "pin": one.pin} for one in (MINA, OTTO)]


def key_down(person: PageUser, *, is_held: bool = False) -> None:
    """Enter as the keyboard sends it: again and again while it is held down."""
    event = {"type": "keyDown", "key": "Enter", "code": "Enter", "text": "\r"}
    code = {"windowsVirtualKeyCode": 13, "autoRepeat": is_held}
    person.browser.execute_cdp_cmd("Input.dispatchKeyEvent", {**event, **code})


def log_in(person: PageUser, who: Mapping[str, Any], pin: str) -> None:
    """As another tab of the browser does."""
    script = """
      const [person, pin, done] = arguments;
      fetch("/api/login", {
        method: "POST",
        headers: {"Content-Type": "application/json"},
        body: JSON.stringify({person, pin}),
      }).then((answer) => done(answer.status));
    """
    assert person.browser.execute_async_script(script, who["id"], pin) == 200


def test_enter_that_is_held_down_signs_nothing(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 3}))
    person.open(serve(), "S1")
    key_down(person)
    person.see("//button[@id='sign-go'][not(@disabled)]")
    for _ in range(5):
        key_down(person, is_held=True)
    person.saved()
    assert not person.browser.find_elements("id", "sign-next")
    assert [one.action for one in entries(site)] == [Action.DECIDE]


def test_second_enter_before_the_dialog_can_be_read_signs_nothing(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 3}))
    person.open(serve(), "S1")
    key_down(person)
    person.see("//button[@id='sign-go']")
    key_down(person)
    person.see("//button[@id='sign-go'][not(@disabled)]")
    assert [one.action for one in entries(site)] == [Action.DECIDE]


def test_decision_in_a_tab_whose_person_another_one_has_replaced_is_not_recorded(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.review = {"people": LISTED, "pin_at_signing": False}
    site.add_slide("SECRET", mixed_cells({"neutrophil": 3}))
    running = serve()
    person.enter(running)
    person.see("//input[@id='login-pin']").send_keys(PIN + "\n")
    person.see("//tr[contains(., 'SECRET')]").click()
    person.look()
    log_in(person, LISTED[1], "battery staple")
    person.press("m")
    person.see("//*[@id='cover'][not(@hidden)]//input[@id='login-pin']")
    assert entries(site) == []
    assert "SECRET" not in person.browser.find_element("tag name", "body").text
    person.see("//*[@id='cover']//input[@id='login-pin']").send_keys(PIN + "\n")
    person.saved()
    (entry,) = entries(site)
    assert (entry.by.id, entry.cells[0].after) == (MINA.id, "monocyte")


def test_first_key_after_the_machine_slept_covers_the_page_and_decides_nothing(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("SECRET", mixed_cells({"neutrophil": 3}))
    person.open(serve(), "SECRET")
    person.run("((real) => { Date.now = () => real() + 8 * 3600e3; })(Date.now)")
    person.press("m")
    person.see("//*[@id='cover'][not(@hidden)]//button")
    assert "SECRET" not in person.browser.find_element("tag name", "body").text
    assert entries(site) == []


@pytest.mark.parametrize("key", ["t", "s"])
def test_back_closes_a_dialog_so_that_it_never_is_about_another_slide(
    site: ReviewSite, serve: Serve, person: PageUser, key: str
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 3}))
    person.open(serve(), "S1")
    person.press(key)
    person.see("//dialog[@open]")
    person.browser.back()
    person.see("//input[@id='find']")
    until(lambda: not person.browser.find_elements("xpath", "//dialog[@open]"))
    assert person.run("state") == "list"


def test_sheet_of_a_signed_slide_with_another_label_since_says_that_it_is_not_signed(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 3}))
    person.open(serve(), "S1")
    key = person.run("slideScreen.key")
    person.press_enter()
    person.sign()
    assert "Signed by" in printed(person)
    person.press_enter()
    person.see("//details//tr")
    person.run("void slideScreen.open(arguments[0])", key)
    until(lambda: person.run("slideScreen.key") == key)
    person.look()
    person.press("m")
    person.saved()
    until(lambda: "not final" in printed(person))
    assert "Signed by" not in printed(person)
    person.reads("top", "Begun")
    assert "Signed by" not in person.browser.find_element("id", "top").text


def test_list_whose_folder_is_away_says_that_it_may_be_old(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 3}))
    person.enter(serve())
    person.see("//tr[contains(., 'S1')]")
    away = site.export.rename(site.folder / "away")
    person.see("//*[@id='line-away'][contains(., 'may be old')]")
    away.rename(site.export)
    until(lambda: not person.browser.find_elements("id", "line-away"), timeout_s=30)


def printed(person: PageUser) -> str:
    person.run("void sheet.draw()")
    return str(person.run("document.getElementById('sheet').textContent"))


def test_page_over_a_record_of_a_backup_asks_a_few_times_and_no_more(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 3}))
    person.open(serve(), "S1")
    person.run("void (slideScreen.data.entry = 99)")
    person.browser.set_script_timeout(10)
    done = "slideScreen.reload().then(arguments[0], arguments[0])"
    person.browser.execute_async_script(done)
    assert person.run("slideScreen.data.entry") == 0
