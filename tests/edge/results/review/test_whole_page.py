"""A person at a real browser, with the real command: signed by keys, kills, tabs, many cells."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from edge.results.document.result import State
from edge.results.issued.issued import Issued
from edge.results.review.record.entry import Action
from tests.support.browser import events_of, hosts_asked, open_browser
from tests.support.page_user import PageUser
from tests.support.review_process import ReviewProcess
from tests.support.review_records import entries
from tests.support.review_site import NORMAL, ReviewSite, mixed_cells
from tests.support.waiting import until

MOST_KEYS = 20
CORRECTIONS = 6


class Presser(PageUser):
    """Counts the keys."""

    keys = 0

    def press(self, *keys: str) -> None:
        self.keys += len(keys)
        super().press(*keys)


@pytest.fixture
def site(tmp_path: Path) -> ReviewSite:
    return ReviewSite(tmp_path)


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Presser]:
    with open_browser(tmp_path / "browser") as browser:
        yield Presser(browser)


def serve(site: ReviewSite, *, port: int = 0, faults: str = "") -> ReviewProcess:
    log = site.folder / f"review-{len(list(site.folder.glob('review-*.log')))}.log"
    return ReviewProcess(site.config_file, log, port=port, faults=faults)


def decided(site: ReviewSite) -> Counter[str]:
    """How often each cell was decided, by its hash."""
    found = [one for one in entries(site) if one.action is Action.DECIDE]
    return Counter(cell.sha256 for one in found for cell in one.cells)


def open_slide(person: Presser, page: ReviewProcess, sample_id: str) -> None:
    person.browser.get(page.address)
    person.see(f"//tr[contains(., '{sample_id}')]")
    person.press_enter()
    person.look()


def sign_by_keys(person: Presser) -> None:
    """As somebody who sees that the least certain lymphocytes are neutrophils."""
    while not person.browser.find_elements("id", "sign-go"):
        person.look()
        place = person.group, person.run("document.getElementById('gallery').scrollTop")
        if person.group == "lymphocyte" and not decided_here(person):
            for _ in range(CORRECTIONS):
                person.press("n")
        person.press_enter()
        wait_until_moved(person, place)
    person.sign()


def decided_here(person: Presser) -> bool:
    return person.tiles("decided") > 0


def wait_until_moved(person: Presser, before: tuple[str, float]) -> None:
    until(lambda: has_moved(person, before))


def has_moved(person: Presser, before: tuple[str, float]) -> bool:
    if person.browser.find_elements("id", "sign-go"):
        return True
    return (person.group, person.run("document.getElementById('gallery').scrollTop")) != before


def test_slide_of_200_cells_with_six_corrections_is_signed_with_20_keys_and_issued(
    site: ReviewSite, person: Presser
) -> None:
    site.add_slide("S1", mixed_cells(NORMAL, wrong=CORRECTIONS))
    with serve(site) as page:
        open_slide(person, page, "S1")
        sign_by_keys(person)
        asked = hosts_asked(events_of(person.browser))
        assert asked == {f"127.0.0.1:{page.port}"}
    assert person.keys <= MOST_KEYS
    assert set(decided(site).values()) <= {1, 2}
    argv = [sys.executable, "-m", "edge.results.cli", "send", "--config", str(site.config_file)]
    subprocess.run([*argv, "--once"], check=True)
    with Issued.open(site.state) as issued:
        (_, result) = issued.after(0, 9)[-1]
    labels = Counter(cell.label for cell in result.cells)
    assert (result.state, len(result.cells)) == (State.FINAL, 200)
    assert labels["neutrophil"] == NORMAL["neutrophil"] + CORRECTIONS
    assert labels["lymphocyte"] == NORMAL["lymphocyte"] - CORRECTIONS
    assert len(list((site.folder / "lis").iterdir())) == 1


@pytest.mark.parametrize("step", ["review.before_commit", "review.after_commit"])
def test_program_killed_between_key_and_record_loses_and_doubles_nothing(
    site: ReviewSite, person: Presser, step: str
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 12}))
    with serve(site, faults=f"{step}=kill@2") as page:
        open_slide(person, page, "S1")
        port = page.port
        person.press("m", "l", "e")
        until(lambda: page.process.poll() is not None)
    person.reads("lines", "Not saved yet")
    with serve(site, port=port) as again:
        field = person.see("//input[@id='address']")
        field.send_keys(again.address, Keys.ENTER)
        person.saved()
        found = [one for one in entries(site) if one.action is Action.DECIDE]
        assert [one.cells[0].after for one in found] == ["monocyte", "lymphocyte", "eosinophil"]
        assert set(decided(site).values()) == {1}
        assert len(decided(site)) == 3


def test_program_killed_between_signature_and_file_signs_once(
    site: ReviewSite, person: Presser
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 12}))
    with serve(site, faults="review.before_verification=kill") as page:
        open_slide(person, page, "S1")
        port = page.port
        person.press_enter()
        person.see("//button[@id='sign-go'][not(@disabled)]")
        person.press_enter()
        until(lambda: page.process.poll() is not None)
    assert not site.verifications.exists()
    with serve(site, port=port) as again:
        # Before anybody asks: the program writes what was signed.
        assert len(list(site.verifications.iterdir())) == 1
        field = person.see("//input[@id='address']")
        field.send_keys(again.address, Keys.ENTER)
        person.reads("top", "Signed by")
        signed = [one for one in entries(site) if one.action is Action.SIGN]
        assert len(signed) == 1
        assert len(list(site.verifications.iterdir())) == 1


def test_two_tabs_of_one_slide_show_each_others_decisions_and_none_is_lost(
    site: ReviewSite, person: Presser
) -> None:
    site.add_slide("S1", mixed_cells({"neutrophil": 8}))
    with serve(site) as page:
        open_slide(person, page, "S1")
        first = person.browser.current_window_handle
        person.browser.switch_to.new_window("tab")
        person.browser.get(f"http://127.0.0.1:{page.port}/")
        person.see("//tr[contains(., 'S1')]")
        person.press_enter()
        person.look()
        second = person.browser.current_window_handle
        cell = person.focused
        person.press("m")
        person.saved()
        person.browser.switch_to.window(first)
        shown = f"!document.getElementById('c-{cell}')"
        until(lambda: person.run(shown), timeout_s=30)
        person.look()
        person.press("e")
        person.saved()
        person.browser.switch_to.window(second)
        until(lambda: person.run("document.querySelectorAll('#gallery .tile').length") == 6)
    assert set(decided(site).values()) == {1}
    labels = [one.cells[0].after for one in entries(site)]
    assert labels == ["monocyte", "eosinophil"]


def test_slide_of_2000_cells_builds_and_loads_what_is_near_the_screen_only(
    site: ReviewSite, person: Presser
) -> None:
    site.add_slide("S1", mixed_cells({name: 10 * count for name, count in NORMAL.items()}))
    with serve(site) as page:
        open_slide(person, page, "S1")
        requests = [
            event["params"]["request"]["url"]
            for event in events_of(person.browser)
            if event["method"] == "Network.requestWillBeSent"
        ]
        images = sum("/images/" in address for address in requests)
        assert 0 < images < 400
        person.press_enter()
        person.saved()
        # No cell that was not on the screen.
        assert 0 < len(decided(site)) <= images
