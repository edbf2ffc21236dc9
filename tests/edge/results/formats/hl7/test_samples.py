from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.hl7.judges import refused_by_hl7apy
from tests.support.hl7.samples import FOLDER, OUL, sample_messages
from tests.support.hl7.validator import faults

PAGE = FOLDER.parent / "lis-hl7.md"


@pytest.mark.parametrize("path", sample_messages(), ids=lambda path: path.name)
def test_sample_in_the_docs_is_what_is_written(path: Path) -> None:
    message = sample_messages()[path]
    assert path.read_bytes() == message, "write it anew: python -m tests.support.hl7.samples"
    assert faults(message) == []


def test_sample_in_the_docs_is_taken_by_hl7apy() -> None:
    assert refused_by_hl7apy(OUL.read_bytes()) is None


def test_page_shows_lines_of_the_samples() -> None:
    shown = re.findall(r"^(?:[A-Z]{2}[A-Z0-9]\|.*)$", PAGE.read_text(), re.MULTILINE)
    lines = {line for path in sample_messages() for line in path.read_text().splitlines()}
    assert len(shown) > 20
    assert set(shown) <= lines


def test_page_names_every_own_code() -> None:
    codes = set(re.findall(r"\|([A-Z-]+)\^[^|]*\^99EDGE\|", OUL.read_text()))
    page = PAGE.read_text()
    # Those of the classes are described by their parts.
    parts = {re.sub(r"^(NEUT|EOS|BASO|LYMPH|MONO|IG|NRBC)-", "", code) for code in codes}
    assert len(codes) > 30
    assert {part for part in parts if f"{part}`" not in page} == set()
