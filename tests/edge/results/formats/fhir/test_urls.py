"""The names of a Bundle's parts."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

from edge.results.formats.fhir.source import uuid5_text


def test_text_of_a_name_is_that_of_python_s_uuid5() -> None:
    names = [f"urn:microscope-edge:result:{number}:ü" for number in range(500)]
    assert [uuid5_text(name) for name in names] == [str(uuid5(NAMESPACE_URL, n)) for n in names]
