"""Attacks as bytes: each is a request that would be answered, with one thing wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.support.review_server import IMAGE, KEY

ENTRIES: Final = f"/api/slides/{KEY}/entries"
BODY: Final = json.dumps({"request": "0" * 32, "action": "note", "text": "x"}).encode()
# Of a page elsewhere.
EVIL: Final = "evil.example"


@dataclass(frozen=True)
class Target:
    """The page under attack, and what the attacker may have found out: a valid cookie."""

    host: str
    origin: str
    cookie: str
    token: str

    @property
    def port(self) -> str:
        return self.host.rpartition(":")[2]


@dataclass(frozen=True)
class Request:
    """A request of the page's own script, but for what is given.

    Attributes:
        headers: replace or add to the usual ones; None leaves one out. Values may name the fields
            of `Target` in braces.
        more: further header lines, as they are.
    """

    method: str = "POST"
    path: str = ENTRIES
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: bytes = BODY
    version: str = "HTTP/1.1"
    more: tuple[str, ...] = ()

    def __call__(self, target: Target) -> bytes:
        usual: dict[str, str | None] = {
            "Host": target.host,
            # So that the end of the answer is the end of the connection.
            "Connection": "close",
            "Cookie": target.cookie,
            "Sec-Fetch-Site": "same-origin",
            "Sec-Fetch-Dest": "empty",
        }
        if self.method == "POST":
            usual |= {"Origin": target.origin, "Content-Type": "application/json"}
            usual |= {"Content-Length": str(len(self.body))}
        lines = [f"{self.method} {_filled(self.path, target)} {self.version}".rstrip()]
        for name, value in (usual | dict(self.headers)).items():
            if value is not None:
                lines.append(f"{name}: {_filled(value, target)}")
        lines += [_filled(line, target) for line in self.more]
        head = "\r\n".join(lines) + "\r\n\r\n"
        return head.encode("latin-1") + (self.body if self.method == "POST" else b"")


def _filled(text: str, target: Target) -> str:
    for name in ("host", "origin", "cookie", "token", "port"):
        text = text.replace(f"{{{name}}}", getattr(target, name))
    return text


def post(**headers: str | None) -> Request:
    """A decision with other headers."""
    return Request(headers={name.replace("_", "-"): value for name, value in headers.items()})


def get(path: str = "/api/slides", **headers: str | None) -> Request:
    """A reading request with other headers."""
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("GET", path, changed)


def said(body: bytes) -> Request:
    """A decision with another body."""
    return Request(body=body)


def image(path: str) -> Request:
    """A request for an image at another path."""
    return Request("GET", path, {"Sec-Fetch-Dest": "image"})


def opened(path: str, site: str, destination: str) -> Request:
    """A page opened by another page."""
    return Request(
        *("GET", path),
        {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": destination, "Cookie": "{cookie}"},
    )


RAW: Final[dict[str, Callable[[Target], bytes]]] = {
    # Whose page is asked for: a name of another site may lead to this machine.
    "host_of_another_site": post(Host=EVIL),
    "host_rebound_to_this_machine": Request(
        headers={"Host": f"{EVIL}:{{port}}", "Origin": f"http://{EVIL}:{{port}}"}
    ),
    "host_without_port": post(Host="127.0.0.1"),
    "host_with_another_port": post(Host="127.0.0.1:80"),
    "host_with_a_dot_at_the_end": post(Host="127.0.0.1.:{port}"),
    "host_with_a_user": post(Host="{host}@" + EVIL),
    "host_as_a_number": post(Host="2130706433:{port}"),
    "host_of_the_unspecified_address": post(Host="0.0.0.0:{port}"),
    "host_empty": post(Host=""),
    "host_missing": post(Host=None),
    "host_twice": Request(more=(f"Host: {EVIL}",)),
    "host_forwarded": Request(headers={"Host": EVIL}, more=("X-Forwarded-Host: {host}",)),
    # Whose page asks.
    "origin_of_another_site": post(Origin=f"http://{EVIL}"),
    "origin_null": post(Origin="null"),
    "origin_missing": post(Origin=None),
    "origin_empty": post(Origin=""),
    "origin_of_another_port": post(Origin="http://127.0.0.1:1"),
    "origin_of_another_scheme": post(Origin="https://{host}"),
    "origin_of_another_name_of_this_page": post(Origin="http://localhost:{port}"),
    "origin_that_begins_as_ours": post(Origin="{origin}.evil.example"),
    "origin_twice": Request(more=(f"Origin: http://{EVIL}",)),
    "origin_of_another_site_reads": get(Origin=f"http://{EVIL}"),
    "fetch_site_cross_site": post(Sec_Fetch_Site="cross-site"),
    "fetch_site_same_site": post(Sec_Fetch_Site="same-site"),
    "fetch_site_none": post(Sec_Fetch_Site="none"),
    "fetch_site_missing": post(Sec_Fetch_Site=None),
    "fetch_site_twice": Request(more=("Sec-Fetch-Site: cross-site",)),
    "slides_read_by_another_site": get(Sec_Fetch_Site="cross-site"),
    "slides_read_by_another_port": get(Sec_Fetch_Site="same-site"),
    "slides_opened_from_the_address_bar": get(Sec_Fetch_Site="none"),
    "image_in_another_site": get(f"/images/{KEY}/{IMAGE}", Sec_Fetch_Site="cross-site"),
    "image_in_another_port": get(f"/images/{KEY}/{IMAGE}", Sec_Fetch_Site="same-site"),
    "script_in_another_site": get("/review.js", Sec_Fetch_Site="cross-site"),
    "page_opened_by_another_site": opened("/", "cross-site", "document"),
    "page_opened_by_another_port": opened("/", "same-site", "document"),
    "page_in_a_frame": opened("/", "same-origin", "iframe"),
    "page_as_an_object": opened("/", "none", "object"),
    # What a form or a request without a preflight can send.
    "content_type_text": post(Content_Type="text/plain"),
    "content_type_form": post(Content_Type="application/x-www-form-urlencoded"),
    "content_type_multipart": post(Content_Type="multipart/form-data; boundary=x"),
    "content_type_missing": post(Content_Type=None),
    "content_type_with_charset": post(Content_Type="application/json; charset=utf-16"),
    "content_type_that_begins_so": post(Content_Type="application/json-patch+json"),
    "content_type_two_in_one": post(Content_Type="text/plain, application/json"),
    "content_type_twice": Request(more=("Content-Type: text/plain",)),
    "content_encoded": Request(more=("Content-Encoding: gzip",)),
    # Who is let in.
    "token_missing": get("/enter", Cookie=None, Sec_Fetch_Site="none"),
    "token_wrong": get("/enter?token=" + "A" * 43, Cookie=None, Sec_Fetch_Site="none"),
    "token_used": get("/enter?token={token}", Cookie=None, Sec_Fetch_Site="none"),
    "token_short": get("/enter?token=A", Cookie=None, Sec_Fetch_Site="none"),
    "token_twice": get("/enter?token={token}&token={token}", Sec_Fetch_Site="none"),
    "token_without_reading_on": Request("HEAD", "/enter?token=" + "A" * 43),
    "cookie_missing": post(Cookie=None),
    "cookie_wrong": post(Cookie="edge_review_{port}=" + "A" * 43),
    "cookie_empty": post(Cookie="edge_review_{port}="),
    "cookie_of_another_page": post(Cookie="edge_review_1=" + "A" * 43),
    "cookie_twice": Request(more=("Cookie: edge_review_{port}=x",)),
    "cookie_missing_reads": get(Cookie=None),
    "page_without_cookie": get("/", Cookie=None),
    "script_without_cookie": get("/review.js", Cookie=None),
    "image_without_cookie": get(f"/images/{KEY}/{IMAGE}", Cookie=None),
    # Files by path.
    "path_up": image("/images/../../etc/passwd"),
    "path_up_escaped": image("/images/%2e%2e/%2e%2e/etc/passwd"),
    "path_up_with_escaped_slash": image("/images/..%2f..%2fetc%2fpasswd"),
    "path_up_escaped_twice": image("/images/%252e%252e/etc/passwd"),
    "path_up_overlong": image("/images/%c0%ae%c0%ae/etc/passwd"),
    "path_up_with_backslash": image("/images/..\\..\\etc\\passwd"),
    "path_with_a_null": image(f"/images/{KEY}/{IMAGE}%00.jpg"),
    "path_with_an_empty_part": image(f"/images//{KEY}/{IMAGE}"),
    "path_of_the_system": image("//etc/passwd"),
    "path_with_a_parameter": image(f"/images/{KEY}/{IMAGE};x=1"),
    "path_with_a_query": image(f"/images/{KEY}/{IMAGE}?x=1"),
    "path_with_a_slash_at_its_end": image(f"/images/{KEY}/{IMAGE}/"),
    "path_in_place_of_an_id": image(f"/images/{KEY}/etc/passwd"),
    "name_in_place_of_an_id": image(f"/images/{KEY}/IMG0001"),
    "id_of_another_slide": image(f"/images/{KEY}/{KEY}"),
    "slide_that_is_not_there": Request(path=f"/api/slides/{IMAGE}/entries"),
    "file_of_the_package": image("/files.py"),
    "folder_of_the_page": image("/texts"),
    "reference_by_path": image("/reference/../reference"),
    # Methods.
    **{f"method_{name.lower()}": Request(name) for name in ("PUT", "DELETE", "PATCH", "TRACE")},
    "method_options": Request("OPTIONS", more=("Access-Control-Request-Method: POST",)),
    "method_connect": Request("CONNECT", "{host}"),
    "method_unknown": Request("BREW"),
    "method_in_lower_case": Request("post"),
    "method_get_decides": Request("GET", more=("X-HTTP-Method-Override: POST",)),
    "method_post_reads": Request(path="/api/slides"),
    # What is no HTTP/1.1 of a browser.
    "version_1_0": Request(version="HTTP/1.0"),
    "version_0_9": Request("GET", "/api/slides", version=""),
    "version_2": lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "target_absolute": Request("GET", "http://{host}/api/slides"),
    "target_of_another_site": Request("GET", f"http://{EVIL}/api/slides"),
    "target_star": Request("OPTIONS", "*"),
    "garbage": lambda _: bytes(range(256)) * 4 + b"\r\n\r\n",
    "tls_hello": lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "length_missing": post(Content_Length=None),
    "length_negative": post(Content_Length="-1"),
    "length_signed": post(Content_Length=f"+{len(BODY)}"),
    "length_twice": Request(more=("Content-Length: 1",)),
    "length_two_in_one": post(Content_Length=f"{len(BODY)}, 1"),
    "length_and_chunks": Request(more=("Transfer-Encoding: chunked",)),
    "chunks": Request(
        headers={"Content-Length": None, "Transfer-Encoding": "chunked"},
        body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
    ),
    "chunks_in_disguise": Request(
        headers={"Content-Length": None, "Transfer-Encoding": "xchunked"}, body=b""
    ),
    "host_folded": post(Host="{host}\r\n " + EVIL),
    "header_with_a_blank": Request(more=("Content-Length : 0",)),
    "header_with_a_null": Request(more=("X-A: \0",)),
    "headers_too_large": Request(more=("X-A: " + "a" * (20 << 10),)),
    "headers_far_too_large": Request(more=("X-A: " + "a" * (4 << 20),)),
    "headers_too_many": Request(more=tuple(f"X-{i}: {i}" for i in range(5000))),
    "body_announced_too_large": post(Content_Length=str((1 << 20) + 1)),
    "body_of_a_reading_request": Request("GET", "/api/slides", {"Content-Length": "3"}),
    "expects_to_go_on": Request(more=("Expect: 100-continue",)),
    "upgrade_to_websocket": get(Connection="Upgrade", Upgrade="websocket"),
    "upgrade_to_http_2": post(Connection="Upgrade", Upgrade="h2c"),
    # JSON.
    "json_deep": said(b"[" * 500_000),
    "json_deep_objects": said(b'{"a":' * 150_000),
    "json_long_number": said(b'{"a":' + b"1" * 1_000_000 + b"}"),
    "json_infinite_number": said(b'{"a":1e999}'),
    "json_no_number": said(b'{"a":NaN}'),
    "json_key_twice": said(b'{"action":"note","action":"decide"}'),
    "json_list": said(b"[1]"),
    "json_text": said(b'"x"'),
    "json_half_a_character": said(b'{"a":"\\ud800"}'),
    "json_not_utf8": said(b'{"a":"\xff"}'),
    "json_two_documents": said(b'{"a":1}{"a":2}'),
    "json_empty": said(b""),
    "json_form": said(b"action=note&text=x"),
}
