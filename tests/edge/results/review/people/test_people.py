from __future__ import annotations

import os
import pwd

import pytest

from edge.errors import ConfigError
from edge.results.document.result import Person
from edge.results.review.people import system_user as module
from edge.results.review.people.attempts import Attempts
from edge.results.review.people.people import People, WaitError
from edge.results.review.people.system_user import system_user
from edge.results.settings.review_config import ReviewPerson
from tests.support.review_server import MINA, OTTO, PIN, Clock


def wrong(people: People, id_: str) -> None:
    attempt = people.open_attempt(id_, "wrong pin")
    assert attempt is None or not attempt.is_right()


def right(people: People, id_: str, pin: str) -> Person:
    attempt = people.open_attempt(id_, pin)
    assert attempt is not None
    assert attempt.is_right()
    people.close_attempt(attempt, is_right=True)
    return attempt.person


def test_waits_double_with_each_wrong_pin_up_to_a_quarter_of_an_hour() -> None:
    clock = Clock()
    attempts = Attempts(2, clock)
    waits = []
    for _ in range(9):
        attempts.begin()
        waits.append(attempts.wait_s)
        clock.now += attempts.wait_s
    assert waits == [0, 30, 60, 120, 240, 480, 900, 900, 900]


def test_wrong_pins_are_forgotten_after_a_while() -> None:
    clock = Clock()
    attempts = Attempts(5, clock)
    for _ in range(20):
        attempts.begin()
        assert attempts.wait_s == 0
        clock.now += 300


def test_right_pin_forgets_the_wrong_ones_of_its_person() -> None:
    people = People((MINA, OTTO), clock=Clock())
    for _ in range(3):
        for _ in range(4):
            wrong(people, "mm")
        assert right(people, "mm", PIN) == Person("mm", "Dr. Mina Müller")


def test_own_right_pin_does_not_help_to_guess_those_of_others() -> None:
    people = People((MINA, OTTO), clock=Clock())
    for _ in range(19):
        wrong(people, "nobody")
        right(people, "mm", PIN)
    wrong(people, "nobody")
    with pytest.raises(WaitError) as error:
        people.open_attempt("ok", "a guess")
    assert error.value.wait_s == 30


def test_people_without_a_list_are_the_system_user() -> None:
    people = People(user=lambda: Person("lab", "Lab User"))
    assert (people.alone, people.everyone, people.login) == (
        Person("lab", "Lab User"),
        (),
        "system",
    )


def test_every_bad_hash_is_told_with_its_place_and_not_quoted() -> None:
    listed = (ReviewPerson("a", "A", "123456"), MINA, ReviewPerson("b", "B", "scrypt$"))
    with pytest.raises(ConfigError) as error:
        People(listed)
    lines = str(error.value).splitlines()
    assert [line.split()[0] for line in lines] == ["review.people[0].pin", "review.people[2].pin"]
    assert "123456" not in lines[0]
    assert "edge-results review --make-pin" in lines[0]


@pytest.mark.parametrize(
    ("gecos", "name"),
    [
        ("Mina Müller,Room 3,,", "Mina Müller"),
        ("", "mina"),
        ("& Müller", "Mina Müller"),
        ("Mina\x1b[2J", r"Mina\x1b[2J"),
    ],
)
def test_system_user_has_the_full_name_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, gecos: str, name: str
) -> None:
    entry = pwd.struct_passwd(("mina", "x", 1000, 1000, gecos, "/home/mina", "/bin/sh"))
    monkeypatch.setattr(module.pwd, "getpwuid", lambda _: entry)  # type: ignore[attr-defined]
    assert system_user() == Person("mina", name)


def test_system_user_is_the_one_of_this_process() -> None:
    assert system_user().id == pwd.getpwuid(os.geteuid()).pw_name


def test_system_user_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="no name for user 4000000000"):
        system_user(4_000_000_000)
