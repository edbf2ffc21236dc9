"""What a request of the page looks like; what is refused is in the tables of attacks."""

from __future__ import annotations

import pytest

from edge.results.review.server.guard.rules import Facts, Wrong, wrong_with

ORIGIN = "http://127.0.0.1:8765"
ORIGINS = frozenset({ORIGIN, "http://localhost:8765"})


def facts(method: bytes, path: bytes, query: bytes = b"", **headers: bytes) -> Facts:
    named = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    return Facts(method, path, query, "1.1", ((b"host", b"127.0.0.1:8765"), *named))


@pytest.mark.parametrize(
    "request_",
    [
        facts(b"GET", b"/", sec_fetch_site=b"none", sec_fetch_dest=b"document"),
        facts(b"HEAD", b"/", sec_fetch_site=b"same-origin"),
        facts(b"GET", b"/enter", b"token=" + b"a" * 43, sec_fetch_site=b"none"),
        facts(b"GET", b"/enter", b"token=" + b"a" * 43, sec_fetch_site=b"same-origin"),
        facts(b"GET", b"/review.js", sec_fetch_site=b"same-origin", sec_fetch_dest=b"script"),
        facts(b"GET", b"/api/slides", sec_fetch_site=b"same-origin", origin=ORIGIN.encode()),
        facts(b"GET", b"/images/0123456789ABCDEF0123/01", sec_fetch_site=b"same-origin"),
        facts(
            *(b"POST", b"/api/login"),
            sec_fetch_site=b"same-origin",
            origin=ORIGIN.encode(),
            content_type=b"application/json",
            content_length=b"2",
        ),
    ],
)
def test_request_of_the_page_is_answered(request_: Facts) -> None:
    assert wrong_with(request_, ORIGINS) is None


def test_name_in_capitals_is_the_same_host() -> None:
    request = Facts(
        *(b"GET", b"/", b"", "1.1"), ((b"host", b"LocalHost:8765"), (b"sec-fetch-site", b"none"))
    )
    assert wrong_with(request, ORIGINS) is None


def test_reason_has_nothing_of_the_request() -> None:
    request = facts(b"GET", b"/SECRET-1%00", b"SECRET-1", sec_fetch_site=b"none")
    found = wrong_with(request, ORIGINS)
    assert found == Wrong(400, "its path has characters that no address here has")
