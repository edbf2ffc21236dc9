"""Parses a request to the metrics server, and makes the answer.

Supports GET and HEAD of a page, one request per connection. Anything else is refused as soon as it
is recognised.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, TypeAlias

# Status, content type, content.
Page: TypeAlias = tuple[HTTPStatus, str, bytes]
Pages: TypeAlias = Mapping[str, Callable[[], Page]]

# Prometheus sends 300 bytes, a browser 1000.
MOST_HEAD_BYTES: Final = 8192
_MOST_LINE_BYTES: Final = 2048
_REQUEST_LINE: Final = re.compile(rb"([A-Z]{1,20}) ([!-~]+) HTTP/1\.([01])")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::\d{1,5})?", re.IGNORECASE)


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


def answer_to(received: bytes, served: Pages, hosts: frozenset[str] | None) -> bytes | None:
    """The answer to a request; None while it is incomplete.

    Args:
        received: all bytes from the client so far.
        served: the pages by their path.
        hosts: allowed names in the Host header; None: any.
    """
    try:
        head = _head(received)
        if head is None:
            return None
        method, page = _asked(head, served, hosts)
    except _RefusedError as refusal:
        return _answer(refusal.status, "text/plain; charset=utf-8", f"{refusal}\n".encode())
    return _answer(*page(), is_head=method == b"HEAD")


def _head(received: bytes) -> bytes | None:
    """The request's head; None while it is incomplete."""
    line, _, _ = received.partition(b"\n")
    if len(line) > _MOST_LINE_BYTES:
        raise _RefusedError(HTTPStatus.REQUEST_URI_TOO_LONG, "the first line is too long")
    head, end, _ = received.partition(b"\r\n\r\n")
    if len(head) > MOST_HEAD_BYTES:
        text = "the header is too long"
        raise _RefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
    return head if end else None


def _asked(
    head: bytes, served: Pages, hosts: frozenset[str] | None
) -> tuple[bytes, Callable[[], Page]]:
    """The method and the page of a request."""
    first, *lines = head.split(b"\r\n")
    found = _REQUEST_LINE.fullmatch(first)
    if found is None:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "not a request of HTTP/1.0 or HTTP/1.1")
    method, target, minor = found.groups()
    if method not in (b"GET", b"HEAD"):
        raise _RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD")
    if hosts is not None:
        _check_host(lines, hosts, is_required=minor == b"1")
    # A target of another server begins with a scheme, so it is not found.
    page = served.get(target.decode("ascii").partition("?")[0])
    if page is None:
        raise _RefusedError(HTTPStatus.NOT_FOUND, ", ".join(served))
    return method, page


def _check_host(lines: list[bytes], hosts: frozenset[str], *, is_required: bool) -> None:
    """Refuse a Host that is not this machine's.

    Otherwise a web page whose host name was made to point to this machine (DNS rebinding) could
    read the answers in a browser here. Its requests carry that host name.
    """
    fields = [line.partition(b":") for line in lines]
    if not all(colon and _NAME.fullmatch(name) for name, colon, _ in fields):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "a line of the header is not a field")
    found = [value.strip(b" \t") for name, _, value in fields if name.lower() == b"host"]
    names = [name.decode("ascii", "replace") for name in found]
    if not names and not is_required:
        return
    if len(names) != 1:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "exactly one Host is needed")
    host = _HOST.fullmatch(names[0])
    if host is None or host[1].lower() not in hosts:
        text = "Host is not a name of this server, such as localhost or 127.0.0.1"
        raise _RefusedError(HTTPStatus.MISDIRECTED_REQUEST, text)


def _answer(
    status: HTTPStatus, content_type: str, content: bytes, *, is_head: bool = False
) -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        # Without the versions of this program and of Python.
        "Server: microscope-edge",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(content)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append("Allow: GET, HEAD")
    head = "\r\n".join([*lines, "", ""]).encode("ascii")
    return head if is_head else head + content
