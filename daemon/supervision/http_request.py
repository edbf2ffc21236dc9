"""What a client of the metrics server asked for, and the answer's bytes.

Little of HTTP: GET and HEAD of a page, one request for each connection. Whatever else a client
sends is refused from the first bytes that show it.
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
    """The answer to what a client sent so far; None while its request is not whole.

    Args:
        received: from the beginning.
        served: the pages by their path.
        hosts: names by which a client may know this server; None: any.
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
    """The request without its body, when it is there."""
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
    """Method and page."""
    first, *lines = head.split(b"\r\n")
    found = _REQUEST_LINE.fullmatch(first)
    if found is None:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "not a request of HTTP/1.0 or HTTP/1.1")
    method, target, minor = found.groups()
    if method not in (b"GET", b"HEAD"):
        raise _RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD alone")
    if hosts is not None:
        _check_host(lines, hosts, is_required=minor == b"1")
    # A target that names another server begins with its scheme, and is none of our pages.
    page = served.get(target.decode("ascii").partition("?")[0])
    if page is None:
        raise _RefusedError(HTTPStatus.NOT_FOUND, ", ".join(served))
    return method, page


def _check_host(lines: list[bytes], hosts: frozenset[str], *, is_required: bool) -> None:
    """Refuse a name that is not this machine's own.

    A page of a foreign server whose name somebody let point to this machine has the browser of a
    person here ask, and reads the answer: its requests carry that name.
    """
    fields = [line.partition(b":") for line in lines]
    if not all(colon and _NAME.fullmatch(name) for name, colon, _ in fields):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "a line of the header is no field")
    found = [value.strip(b" \t") for name, _, value in fields if name.lower() == b"host"]
    names = [name.decode("ascii", "replace") for name in found]
    if not names and not is_required:
        return
    if len(names) != 1:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "one Host is needed")
    host = _HOST.fullmatch(names[0])
    if host is None or host[1].lower() not in hosts:
        text = "Host is not a name of this server, such as localhost or 127.0.0.1"
        raise _RefusedError(HTTPStatus.MISDIRECTED_REQUEST, text)


def _answer(
    status: HTTPStatus, content_type: str, content: bytes, *, is_head: bool = False
) -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        # No version of this program or of Python for whoever asks.
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
