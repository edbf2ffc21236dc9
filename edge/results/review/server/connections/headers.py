"""Headers of every answer: what a browser may do with it."""

from __future__ import annotations

from typing import Final

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ALWAYS: Final = (
    ("content-security-policy", _POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    # Cells and names stay in no cache on the disk.
    ("cache-control", "no-store"),
)
_WITH_TLS: Final = ("strict-transport-security", "max-age=31536000")


def headers_of_all(*, has_tls: bool) -> list[tuple[str, str]]:
    """In the order in which they are sent."""
    return [*_ALWAYS, _WITH_TLS] if has_tls else list(_ALWAYS)
