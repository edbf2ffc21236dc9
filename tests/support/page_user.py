"""Somebody at a browser with the review page, who looks before pressing a key."""

from __future__ import annotations

from typing import Any

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.support.review_server import RunningPage
from tests.support.waiting import until


class PageUser:
    """What a person sees and does; each method waits until the page is there."""

    def __init__(self, browser: Chrome) -> None:
        self.browser = browser

    def run(self, script: str, *values: Any) -> Any:
        return self.browser.execute_script(f"return {script}", *values)

    def enter(self, running: RunningPage) -> None:
        """Open the printed address."""
        self.browser.get(running.page.new_address())

    def open(self, running: RunningPage, sample_id: str) -> None:
        self.enter(running)
        self.see(f"//tr[contains(., '{sample_id}')]").click()
        self.look()

    def look(self) -> None:
        """Wait until every cell in sight counts as looked at."""
        calm = "(document.getElementById('gallery') || {ariaBusy: 'true'}).ariaBusy === 'false'"
        until(lambda: self.run(calm))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.browser.switch_to.active_element.send_keys(key)

    def press_enter(self) -> None:
        self.press(Keys.ENTER)

    def sign(self) -> None:
        """Press the button of the signature dialog, which is open or opens, and see it signed."""
        self.see("//button[@id='sign-go'][not(@disabled)]")
        self.press_enter()
        self.see("//button[@id='sign-next']")

    def see(self, path: str) -> Any:
        """The first element of an XPath, once it is there."""
        found: list[Any] = []

        def is_there() -> bool:
            found[:] = self.browser.find_elements(By.XPATH, path)
            return bool(found)

        until(is_there)
        return found[0]

    def reads(self, id_: str, text: str) -> None:
        """Wait until an element says this."""

        def is_said() -> bool:
            try:
                return text in self.browser.find_element(By.ID, id_).text
            except StaleElementReferenceException:
                return False

        until(is_said)

    @property
    def group(self) -> str:
        return str(self.run("document.querySelector('.group[aria-current]').dataset.group"))

    @property
    def focused(self) -> str:
        """The id of the cell that has the focus."""
        return str(self.run("document.activeElement.dataset.id"))

    def tiles(self, kind: str) -> int:
        """How many cells of the gallery are shown so: decided, pending, undecided."""
        return int(self.run(f"document.querySelectorAll('#gallery .tile.{kind}').length"))

    def saved(self) -> None:
        until(lambda: self.run("document.body.dataset.pending") == "0")
