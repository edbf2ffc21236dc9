"""A laboratory's page in a real browser, and what a person does there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.results.review.desk.desk import Desk
from edge.results.review.page.files import page_file
from tests.support.browser import open_browser
from tests.support.page_user import PageUser
from tests.support.review_server import RunningPage, running_page
from tests.support.review_site import ReviewSite


@pytest.fixture
def site(tmp_path: Path) -> ReviewSite:
    return ReviewSite(tmp_path)


@pytest.fixture
def serve(site: ReviewSite) -> Iterator[Callable[..., RunningPage]]:
    """Serves the site's slides; ended with the test, or by `ending.close()` of an own stack."""
    with ExitStack() as all_pages:

        def begin(
            *, port: int = 0, wrap: Callable[[Desk], Any] | None = None, stack: Any = None
        ) -> RunningPage:
            config = site.config

            def opening() -> Any:
                desk = Desk.open(config.slides, config.review, config.state_dir)
                return wrap(desk) if wrap else desk

            review = replace(config.review, port=port)
            page = running_page(review, opening=opening, page_file=page_file)
            return (stack or all_pages).enter_context(page)

        yield begin


@pytest.fixture
def person(tmp_path: Path) -> Iterator[PageUser]:
    with open_browser(tmp_path / "browser") as browser:
        yield PageUser(browser)
