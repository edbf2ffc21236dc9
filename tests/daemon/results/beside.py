"""A site whose results lie beside the images, and what became of them."""

from __future__ import annotations

import logging

import pytest

from tests.support.site import Site


def state(site: Site, name: str) -> str | None:
    return site.outcomes().get(name, (None,))[0]


def cause(site: Site, name: str) -> str | None:
    return site.outcomes().get(name, (None, None, None, None))[3]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
