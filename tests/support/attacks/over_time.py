"""Attacks of several steps, on a page of people with PINs. Each returns its last answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.support.attacks.raw import ENTRIES
from tests.support.review_server import KEY, PIN, Client, Reply, RunningPage, running_page

NOTE: Final = {"request": "0" * 32, "action": "note", "text": "x"}
SIGN: Final = f"/api/slides/{KEY}/sign"
WRONG: Final = "wrong pin"


def _person_by_name_alone(page: RunningPage) -> Reply:
    client = page.client()
    client.log_in(pin="")
    return client.post(ENTRIES, NOTE)


def _person_without_login(page: RunningPage) -> Reply:
    return page.client().post(ENTRIES, NOTE)


def _person_that_is_not_listed(page: RunningPage) -> Reply:
    return page.client().log_in("root", PIN)


def _pin_of_somebody_else(page: RunningPage) -> Reply:
    return page.client().log_in("ok", PIN)


def _pin_guessed_in_a_row(page: RunningPage) -> Reply:
    client = page.client()
    for _ in range(5):
        client.log_in(pin=WRONG)
    # The sixth would be right.
    return client.log_in()


def _pin_guessed_at_once(page: RunningPage) -> Reply:
    client = page.client()
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: client.log_in(pin=WRONG), range(48)))
    assert sum(reply.status == 403 for reply in replies) <= 5
    return client.log_in()


def _pin_guessed_from_several_browsers(page: RunningPage) -> Reply:
    for _ in range(5):
        page.client().log_in(pin=WRONG)
    return page.client().log_in()


def _pin_guessed_at_signing(page: RunningPage) -> Reply:
    client = page.client()
    client.log_in()
    for _ in range(5):
        client.post(SIGN, {**NOTE, "pin": WRONG})
    return client.post(SIGN, {**NOTE, "pin": PIN})


def _pin_of_endless_length(page: RunningPage) -> Reply:
    return page.client().log_in(pin="a" * 1_000_000)


def _signature_with_the_pin_of_somebody_else(page: RunningPage) -> Reply:
    client = page.client()
    client.log_in()
    return client.post(SIGN, {**NOTE, "pin": "battery staple"})


def _signature_without_a_pin(page: RunningPage) -> Reply:
    client = page.client()
    client.log_in()
    return client.post(SIGN, NOTE)


def _login_with_more_than_is_asked(page: RunningPage) -> Reply:
    return page.client().post("/api/login", {"person": "mm", "pin": PIN, "is_admin": True})


def _login_with_a_list(page: RunningPage) -> Reply:
    return page.client().post("/api/login", {"person": ["mm"], "pin": PIN})


def _decision_after_logout(page: RunningPage) -> Reply:
    client = page.client()
    client.log_in()
    client.post("/api/logout", {})
    return client.post(ENTRIES, NOTE)


def _decision_after_a_long_pause(page: RunningPage) -> Reply:
    client = page.client()
    client.log_in()
    page.clock.now += 600
    return client.post(ENTRIES, NOTE)


def _session_kept_alive_by_reading(page: RunningPage) -> Reply:
    client = page.client()
    client.log_in()
    for _ in range(12):
        page.clock.now += 60
        client.get("/api/slides")
    return client.post(ENTRIES, NOTE)


def _token_used_by_two(page: RunningPage) -> Reply:
    token = page.page.new_address().partition("token=")[2]
    first, second = Client(page), Client(page)
    first.enter(token)
    return second.enter(token)


def _token_for_the_own_browser_after_a_newer_one(page: RunningPage) -> Reply:
    token = page.page.new_address(for_own_browser=True).partition("token=")[2]
    page.page.new_address(for_own_browser=True)
    return Client(page).enter(token)


def _token_of_another_run(page: RunningPage) -> Reply:
    with running_page() as other:
        token = other.page.new_address().partition("token=")[2]
        return Client(page).enter(token)


def _cookie_of_another_run(page: RunningPage) -> Reply:
    client = Client(page)
    with running_page() as other:
        secret = other.client().cookie.partition("=")[2]
    client.cookie = f"edge_review_{page.port}={secret}"
    return client.post(ENTRIES, NOTE)


OVER_TIME: Final[dict[str, Callable[[RunningPage], Reply]]] = {
    attack.__name__.lstrip("_"): attack
    for attack in (
        *(_person_by_name_alone, _person_without_login, _person_that_is_not_listed),
        *(_pin_of_somebody_else, _pin_guessed_in_a_row, _pin_guessed_at_once),
        *(_pin_guessed_from_several_browsers, _pin_guessed_at_signing, _pin_of_endless_length),
        *(_signature_with_the_pin_of_somebody_else, _signature_without_a_pin),
        *(_login_with_more_than_is_asked, _login_with_a_list),
        *(_decision_after_logout, _decision_after_a_long_pause, _session_kept_alive_by_reading),
        *(_token_used_by_two, _token_for_the_own_browser_after_a_newer_one),
        *(_token_of_another_run, _cookie_of_another_run),
    )
}
