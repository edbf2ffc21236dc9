"""Which requests are answered at all, decided by their first line and headers alone.

A page of another site can make a browser send requests to this server, and a name of another site
can be made to lead to this machine (DNS rebinding). Browsers say in Host, Origin and Sec-Fetch-*
who has asked, and no page can change that.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

# A slide of 2,000 cells decided at once is far below.
LONGEST_BODY: Final = 1 << 20
# Browsers send some 20 headers in 1 KiB, and the cookies of other pages of this machine.
_LONGEST_HEAD: Final = 16 << 10
_MOST_HEADERS: Final = 64
# No escapes, no dots but before a suffix, no empty parts: nothing to be read in two ways.
_PATH: Final = re.compile(rb"/|(/[A-Za-z0-9_-]{1,64})+|/[a-z]{1,16}\.[a-z]{1,8}")
_TOKEN_QUERY: Final = re.compile(rb"token=[A-Za-z0-9_-]{43}")
_LENGTH: Final = re.compile(rb"[0-9]{1,10}")
_JSON: Final = b"application/json"
# Pages, which a person may open from the address bar.
_OPENED: Final = (b"/", b"/enter")
# What a browser fetches them for: a tab of their own, or the page's script.
_IN_A_TAB: Final = (b"document", b"empty")
# A header that is there twice means what each reader takes it for.
_SINGLE: Final = frozenset(
    {
        *(b"host", b"origin", b"cookie", b"content-type", b"content-length"),
        *(b"sec-fetch-site", b"sec-fetch-dest", b"sec-fetch-mode"),
    }
)
# Ways to hide a body or a second request, or to leave HTTP. No browser's page sends them.
_UNUSED: Final = frozenset(
    (b"transfer-encoding", b"content-encoding", b"expect", b"upgrade", b"trailer", b"te")
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a request says of itself, as bytes.

    Attributes:
        path: as sent, without the query.
        headers: names in lower case.
    """

    method: bytes
    path: bytes
    query: bytes
    version: str
    headers: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why a request is refused: the status, and a reason without anything of the request."""

    status: int
    reason: str


def wrong_with(facts: Facts, origins: frozenset[str]) -> Wrong | None:
    """Why the request is refused; None if it may be answered.

    Args:
        origins: `http://HOST:PORT` of every name that the page is served under.
    """
    headers = dict(facts.headers)
    return (
        _wrong_form(facts)
        or _wrong_host(headers, origins)
        or _wrong_address(facts)
        or _wrong_asker(facts, headers)
        or _wrong_body(facts, headers)
    )


def _wrong_form(facts: Facts) -> Wrong | None:
    names = Counter(name for name, _ in facts.headers)
    size = sum(len(name) + len(value) for name, value in facts.headers)
    if len(facts.headers) > _MOST_HEADERS or size > _LONGEST_HEAD:
        return Wrong(431, "its headers are too large")
    if facts.version != "1.1":
        return Wrong(400, "it is no HTTP/1.1")
    if facts.method not in (b"GET", b"HEAD", b"POST"):
        return Wrong(405, "it has another method than GET, HEAD and POST")
    if any(names[name] > 1 for name in _SINGLE):
        return Wrong(400, "it has a header twice")
    if not _UNUSED.isdisjoint(names):
        return Wrong(400, "it has a header that the page never sends")
    return None


def _wrong_host(headers: dict[bytes, bytes], origins: frozenset[str]) -> Wrong | None:
    host = headers.get(b"host", b"").decode("latin-1").lower()
    own = {origin for origin in origins if origin.partition("://")[2] == host}
    if not own:
        return Wrong(403, "it asks for another host")
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1") not in own:
        return Wrong(403, "it comes from a page of another origin")
    return None


def _wrong_address(facts: Facts) -> Wrong | None:
    if not _PATH.fullmatch(facts.path):
        return Wrong(400, "its path has characters that no address here has")
    if facts.query and (facts.path != b"/enter" or not _TOKEN_QUERY.fullmatch(facts.query)):
        return Wrong(400, "it has a query")
    return None


def _wrong_asker(facts: Facts, headers: dict[bytes, bytes]) -> Wrong | None:
    site = headers.get(b"sec-fetch-site")
    if site is None:
        return Wrong(403, "it does not say where it comes from, as browsers do since 2023")
    if facts.method == b"POST" and b"origin" not in headers:
        return Wrong(403, "it changes something and has no origin")
    is_opened = facts.method != b"POST" and facts.path in _OPENED
    if site != b"same-origin" and not (site == b"none" and is_opened):
        return Wrong(403, "it comes from a page of another site")
    if is_opened and headers.get(b"sec-fetch-dest", b"empty") not in _IN_A_TAB:
        return Wrong(403, "it would show the page inside another one")
    return None


def _wrong_body(facts: Facts, headers: dict[bytes, bytes]) -> Wrong | None:
    length = headers.get(b"content-length")
    if facts.method != b"POST":
        return None if length in (None, b"0") else Wrong(400, "it has a body and reads only")
    if headers.get(b"content-type") != _JSON:
        return Wrong(415, "its content type is not application/json alone")
    if length is None:
        return Wrong(411, "it does not say how long its body is")
    if not _LENGTH.fullmatch(length):
        return Wrong(400, "the length of its body is no number")
    if int(length) > LONGEST_BODY:
        return Wrong(413, f"its body is longer than {LONGEST_BODY >> 20} MiB")
    return None
