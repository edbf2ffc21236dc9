"""Tests for the block `review` of results.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.files.strict_block import Block
from edge.results.settings.review_config import ReviewConfig, ReviewPerson, read_review_config

MINA = {"id": "mm", "name": "Dr. Mina Müller", "pin": "scrypt$x"}
AKI = {"id": "a.k", "name": "Aki Kaurismäki", "pin": "scrypt$y"}
OPEN = {"address": "192.0.2.10", "people": [MINA], "certificate": "c.pem", "key": "k.pem"}


def read(values: dict[str, Any] | None) -> tuple[ReviewConfig, list[str]]:
    problems: list[str] = []
    return read_review_config(Block(values, "review", problems), Path("/site")), problems


def test_missing_block_serves_this_machine_alone_for_the_systems_user() -> None:
    config, problems = read(None)
    assert problems == []
    assert config == ReviewConfig()
    assert (config.address, config.people, config.is_local) == ("127.0.0.1", (), True)


def test_empty_lists_are_as_no_list() -> None:
    config, problems = read({"people": [], "hosts": []})
    assert problems == []
    assert config == ReviewConfig()


def test_all_keys_are_read() -> None:
    more = {"second_reader": True, "pin_at_signing": False, "port": 0, "hosts": ["scope.lab"]}
    size = {"pixel_size_um": 0.1, "reference": "cells", "idle_min": 5}
    config, problems = read({**OPEN, "people": [MINA, AKI], **more, **size})
    assert problems == []
    assert config.people == (ReviewPerson(**MINA), ReviewPerson(**AKI))
    assert (config.is_blind, config.pin_at_signing, config.port) == (True, False, 0)
    assert (config.hosts, config.pixel_size_um, config.idle_min) == (("scope.lab",), 0.1, 5.0)
    assert config.certificate == Path("/site/c.pem")
    assert config.reference == Path("/site/cells")
    assert not config.is_local


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"people": [MINA, MINA]}, "review.people has the id 'mm' twice"),
        ({"people": [MINA], "second_reader": True}, "review.second_reader is true and people has"),
        ({"people": [{**MINA, "id": "m m"}]}, "review.people[0].id is 'm m'"),
        ({"people": [{**MINA, "name": "a\nb"}]}, "review.people[0].name is no name"),
        ({"people": [{"id": "mm", "name": "M"}]}, "review.people[0].pin is missing"),
        ({"address": "scope.lab"}, "review.address is 'scope.lab'; give an IP address"),
        ({**OPEN, "people": None}, "review.address lets other machines in; name people"),
        ({**OPEN, "key": None, "certificate": None}, "review.address lets other machines in; give"),
        ({"certificate": "c.pem"}, "review.certificate and key belong together"),
        ({"hosts": ["a b"]}, "review.hosts has 'a b'"),
        ({"pixel_size_um": -1}, "review.pixel_size_um is -1"),
        ({"colour": "red"}, "review.colour is not a known key"),
    ],
)
def test_problem_is_told_with_its_key(values: dict[str, Any], problem: str) -> None:
    _, problems = read(values)
    assert [one for one in problems if one.startswith(problem)] == problems != []
