"""What a person needs who does not know the keys yet: buttons, Tab, and lines that are true."""

from __future__ import annotations

from collections.abc import Callable

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from edge.results.review.people.pin_hash import PinHash
from tests.support.page_user import PageUser
from tests.support.review_server import RunningPage
from tests.support.review_site import ReviewSite, mixed_cells
from tests.support.waiting import until

Serve = Callable[..., RunningPage]
FEW = {"neutrophil": 3, "lymphocyte": 2}


def sign_with_the_mouse(person: PageUser) -> None:
    for _ in range(2):
        person.look()
        person.see("//button[@id='right']").click()
    person.see("//button[@id='sign-go'][not(@disabled)]").click()
    person.see("//button[@id='sign-next']")


def test_slide_is_decided_and_signed_with_the_mouse_alone(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(FEW))
    person.open(serve(), "S1")
    sign_with_the_mouse(person)
    person.reads("dialog", "Signed")


def test_dialog_of_signing_names_the_sample(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(FEW))
    person.open(serve(), "S1")
    person.press("s")
    person.reads("dialog-title", "S1")


def test_button_on_the_list_does_what_it_says_by_enter(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(FEW))
    person.enter(serve())
    person.see("//tr[contains(., 'S1')]")
    person.run("document.querySelector('#top button').focus()")
    person.press_enter()
    person.reads("dialog-title", "Keys")


def test_finished_slides_are_unfolded_and_opened_by_keys(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(FEW))
    site.add_slide("S2", mixed_cells(FEW))
    running = serve()
    person.open(running, "S1")
    sign_with_the_mouse(person)
    person.enter(running)
    person.see("//summary")
    person.run("document.querySelector('summary').focus()")
    person.press_enter()
    until(lambda: person.run("document.querySelector('details').open"))
    row = person.see("//tr[contains(., 'S2')]")
    person.run("arguments[0].focus()", row)
    person.press(Keys.ARROW_DOWN, Keys.ENTER)
    person.look()
    assert "S1" in person.browser.find_element(By.ID, "top").text


def test_list_does_not_tell_what_was_saved_on_a_slide(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.add_slide("S1", mixed_cells(FEW))
    person.open(serve(), "S1")
    person.press_enter()
    person.reads("status", "saved")
    person.press("g")
    person.see("//tr[contains(., 'S1')]")
    assert person.browser.find_element(By.ID, "status").text == ""


def read_blind(person: PageUser, name: str, pin: str, label: str) -> None:
    person.see(f"//option[contains(., '{name}')]").click()
    person.see("//input[@id='login-pin']").send_keys(pin, Keys.ENTER)
    person.see("//tr[contains(., 'S1')]").click()
    person.look()
    person.press(label)
    person.see("//button[@id='right']").click()
    person.see("//button[@id='sign-go'][not(@disabled)]").click()
    person.see("//button[@id='sign-next']")


def test_second_reader_is_led_to_the_cells_that_differ(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    pins = {"Ada": "ada-pin", "Ben": "ben-pin"}
    people = [{"id": name, "name": name, "pin": str(PinHash.of(pins[name]))} for name in pins]
    site.review = {"people": people, "second_reader": True}
    site.add_slide("S1", mixed_cells({"neutrophil": 1}))
    person.enter(serve())
    read_blind(person, "Ada", pins["Ada"], "m")
    person.reads("sign-next", "List of slides")
    person.press_enter()
    person.see("//button[.='Sign out']").click()
    read_blind(person, "Ben", pins["Ben"], "l")
    person.reads("sign-next", "Decide where the readers differ")
    person.press_enter()
    until(lambda: person.group == "differ")


def test_blind_reading_is_finished_not_signed_and_says_so_in_full(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    site.review = {"second_reader": True}
    site.add_slide("S1", mixed_cells(FEW))
    person.open(serve(), "S1")
    person.reads("hints", "finish")
    assert "sign" not in person.browser.find_element(By.ID, "hints").text
    person.reads("top", "Blind reading: the other reader's labels are not shown.")
    cut = "[...document.querySelectorAll('#top .cut')].filter((e) => e.scrollWidth > e.clientWidth)"
    assert person.run(f"{cut}.length") == 0
    person.press("?")
    person.reads("dialog", "Finish reading")


def test_signature_on_top_is_not_cut_off(site: ReviewSite, serve: Serve, person: PageUser) -> None:
    site.add_slide("S1", mixed_cells(FEW))
    person.open(serve(), "S1")
    key = person.run("slideScreen.key")
    sign_with_the_mouse(person)
    person.run("void slideScreen.open(arguments[0])", key)
    notice = person.see("//header//span[contains(., 'Signed by')]")
    top = person.browser.find_element(By.ID, "top").rect
    assert person.run("arguments[0].scrollWidth <= arguments[0].clientWidth", notice)
    assert notice.rect["y"] + notice.rect["height"] <= top["y"] + top["height"]


def test_head_of_the_cells_is_one_line_on_a_small_screen(
    site: ReviewSite, serve: Serve, person: PageUser
) -> None:
    size = {"width": 1024, "height": 768, "deviceScaleFactor": 1, "mobile": False}
    person.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    site.add_slide("S1", mixed_cells({"erythroblast": 30}))
    person.open(serve(), "S1")
    title, button = (
        person.browser.find_element(By.ID, name).rect for name in ("gallery-title", "right")
    )
    assert title["height"] <= button["height"]
    assert person.run("document.documentElement.scrollWidth") <= 1024
