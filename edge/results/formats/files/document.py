"""The whole result as JSON, `edge-result/1`."""

from __future__ import annotations

from typing import Final

from edge.results.document.result import SlideResult
from edge.results.document.to_json import to_json
from edge.results.formats.format import Context, Format


def _misfit(result: SlideResult, _context: Context) -> str | None:
    # JSON carries every text but halves of surrogate pairs, which no UTF-8 has.
    texts = (result.sample_id, result.slide_id or "", *(cell.image for cell in result.cells))
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return "an id or an image's name is no Unicode text"
    return None


def _write(result: SlideResult, _context: Context) -> bytes:
    return to_json(result)


JSON: Final = Format("json", ".json", _misfit, _write)
