"""A pytest plugin, `-p tests.support.shuffled --shuffle SEED`: tests in an order drawn by chance.

Files are shuffled, and the tests of each file. A file's tests stay together, so that what they
share is made once. A seed always gives the same order, as pytest-xdist needs in its processes.
"""

from __future__ import annotations

import random

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int, required=True, metavar="SEED", help="draws the order")


def pytest_report_header(config: pytest.Config) -> str:
    return f"order of the tests: --shuffle {config.getoption('--shuffle')}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chance = random.Random(config.getoption("--shuffle"))  # noqa: S311 - an order, no secret
    by_file: dict[str, list[pytest.Item]] = {}
    for item in items:
        by_file.setdefault(item.location[0], []).append(item)
    files = list(by_file.values())
    chance.shuffle(files)
    for tests in files:
        chance.shuffle(tests)
    items[:] = [item for tests in files for item in tests]
