"""Attacks by hostile pages in a real Chromium, in which a person has the review page open."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from selenium.webdriver import Chrome

from tests.support.attacks.over_time import OVER_TIME
from tests.support.attacks.pages import BY_PAGE, HELPERS
from tests.support.attacks.raw import BODY, ENTRIES, EVIL, RAW
from tests.support.browser import events_of, hosts_asked, open_browser
from tests.support.review_server import IMAGE, KEY, RunningPage, running_page
from tests.support.waiting import until

# Who attacks: a page elsewhere, and one of this machine, to which the browser's cookies go.
ATTACKERS: Final = {"other_site": EVIL, "other_port": "127.0.0.1", "localhost": "localhost"}
_ALLOWED: Final = ("fetch_json", "fetch_slides", "fetch_page", "script", "style", "image", "window")
_CALL: Final = """
const [T, PATH, IMAGE, BODY] = arguments, done = arguments[arguments.length - 1];
%s
(async () => { %s })().then(done, (error) => done("refused " + error.name));
"""


@pytest.fixture(scope="module")
def page() -> Iterator[RunningPage]:
    with running_page() as running:
        yield running


@pytest.fixture(scope="module")
def browser(page: RunningPage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser that was let in; names elsewhere lead to this machine, as an attacker's may."""
    rules = f"--host-resolver-rules=MAP {EVIL} 127.0.0.1"
    folder: Path = tmp_path_factory.mktemp("browser")
    with open_browser(folder, flags=(rules,)) as opened:
        opened.set_script_timeout(20)
        opened.get(page.page.new_address())
        yield opened


class _Hostile(http.server.BaseHTTPRequestHandler):
    """Any address is a page of the attacker."""

    def do_GET(self) -> None:
        content = b"<!doctype html><title>hostile</title><body>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the library calls it
        pass


@pytest.fixture(scope="module")
def hostile() -> Iterator[int]:
    """The port of the attacker's pages."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hostile) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def run(browser: Chrome, page: RunningPage, script: str) -> str:
    """What a script of the present page got."""
    code = _CALL % (HELPERS, script)
    image = f"/images/{KEY}/{IMAGE}"
    return str(browser.execute_async_script(code, page.origin, ENTRIES, image, BODY.decode()))


def test_all_attacks_are_many_and_have_names() -> None:
    assert len(RAW) + len(OVER_TIME) + len(ATTACKERS) * len(BY_PAGE) >= 270


def test_page_itself_may_do_what_the_attacks_try(browser: Chrome, page: RunningPage) -> None:
    browser.get(page.origin)
    page.desk.recorded.clear()
    for name in _ALLOWED:
        assert run(browser, page, BY_PAGE[name]).startswith("got")
    assert len(page.desk.recorded) == 1
    assert run(browser, page, "return document.cookie;") == ""


def test_page_whose_session_is_gone_is_let_in_by_a_new_address_in_the_same_tab(
    browser: Chrome, page: RunningPage
) -> None:
    browser.get(page.origin)
    browser.delete_all_cookies()
    assert "no_session" in run(browser, page, BY_PAGE["fetch_slides"])
    path = page.page.new_address().removeprefix(page.origin)
    enter = f"return asked({path!r}, {{redirect: 'manual'}});"
    assert run(browser, page, enter).startswith("refused opaqueredirect")
    assert run(browser, page, BY_PAGE["fetch_slides"]).startswith("got")


@pytest.mark.parametrize("attacker", ATTACKERS)
@pytest.mark.parametrize("name", BY_PAGE)
def test_hostile_page_gets_nothing_and_nothing_is_recorded(
    browser: Chrome, page: RunningPage, hostile: int, attacker: str, name: str
) -> None:
    page.desk.recorded.clear()
    browser.get(f"http://{ATTACKERS[attacker]}:{hostile}/")
    answered = page.page.server.server_state.total_requests
    got = run(browser, page, BY_PAGE[name])
    assert got.startswith("refused")
    assert "SECRET" not in got
    if name == "beacon":
        until(lambda: page.page.server.server_state.total_requests > answered)
    assert page.desk.recorded == []


@pytest.mark.parametrize(
    "name", ["fetch_json", "fetch_slides", "fetch_page", "image", "web_socket"]
)
def test_page_under_a_name_of_the_attacker_gets_nothing(
    browser: Chrome, page: RunningPage, name: str
) -> None:
    page.desk.recorded.clear()
    rebound = f"http://{EVIL}:{page.port}"
    browser.get(f"{rebound}/")
    assert "it asks for another host" in browser.page_source
    script = f"const T = {rebound!r}; {HELPERS} {BY_PAGE[name]}"
    assert run(browser, page, script).startswith("refused")
    assert page.desk.recorded == []


@pytest.mark.parametrize("path", ["/", "/api/slides", f"/images/{KEY}/{IMAGE}"])
def test_link_of_another_site_does_not_open_the_page(
    browser: Chrome, page: RunningPage, hostile: int, path: str
) -> None:
    browser.get(f"http://{EVIL}:{hostile}/")
    browser.execute_script(f"location = {page.origin + path!r}")
    until(lambda: browser.current_url.startswith(page.origin))
    assert "it comes from a page of another site" in browser.page_source


def test_whole_visit_asks_no_other_host(browser: Chrome, page: RunningPage) -> None:
    browser.get("about:blank")
    events_of(browser)
    browser.get(page.origin)
    assert "index.html" in browser.page_source
    assert hosts_asked(events_of(browser)) == {page.host}
