"""The page's files by the names under which the server gives them."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

# Nothing else is given, whatever a browser asks for.
_FILES: Final = {
    "index.html": ("index.html", "text/html; charset=utf-8"),
    "review.js": ("review.js", "text/javascript; charset=utf-8"),
    "review.css": ("review.css", "text/css; charset=utf-8"),
    "texts.json": ("texts/en.json", "application/json"),
}
NAMES: Final = tuple(_FILES)


def page_file(name: str) -> tuple[bytes, str]:
    """A file's bytes and its media type.

    Raises:
        KeyError: there is no such file; see `NAMES`.
    """
    path, media_type = _FILES[name]
    return (files("edge.results.review.page") / path).read_bytes(), media_type
