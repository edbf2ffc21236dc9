"""The Bundle of docs/lis-fhir.md is what the program writes, laid out, with parts left out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from edge.results.document.result import State
from edge.results.formats.code_map import load_code_map
from edge.results.formats.fhir.form import FHIR
from edge.results.formats.format import Context, Site
from tests.support.slide_results import made_result

Json = dict[str, Any]
PAGE = Path(__file__).parents[5] / "docs/lis-fhir.md"
# The slide of the page's other samples.
COUNTS: dict[str | None, int] = {
    "neutrophil": 120,
    "eosinophil": 6,
    "basophil": 2,
    "lymphocyte": 58,
    "monocyte": 12,
    "ig": 2,
    "erythroblast": 1,
    "platelet": 9,
}
# In the page, stands for anything that is left out.
LEFT_OUT = "…"


def laid_out(bundle: Json) -> str:
    """The Bundle with a line for each element of a resource."""
    head = [f" {json.dumps(name)}: {_json(value)}," for name, value in bundle.items()][:-1]
    entries = ",\n".join(_entry(entry) for entry in bundle["entry"])
    return "\n".join(["{", *head, ' "entry": [', entries, " ]", "}", ""])


def _entry(entry: Json) -> str:
    elements = [
        f"    {json.dumps(key)}: {_json(value)}" for key, value in entry["resource"].items()
    ]
    start = f'  {{"fullUrl": "{entry["fullUrl"]}", "resource": {{'
    end = f'   }}, "request": {_json(entry["request"])}}}'
    return "\n".join([start, ",\n".join(elements), end])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def test_bundle_of_the_page_is_what_is_written() -> None:
    result = made_result(counts=COUNTS, state=State.FINAL, revision=2)
    written: Json = json.loads(FHIR.write(result, Context(load_code_map(), Site())))
    text = laid_out(written)
    assert json.loads(text) == written
    (sample,) = re.findall(
        r"^```json fhir\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    parts = [re.escape(part) for part in str(sample).split(LEFT_OUT)]
    assert len(parts) < 30
    assert re.fullmatch(".*?".join(parts), text, re.DOTALL)
