"""The model card: texts stay as they are written, and names cannot be mistaken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from converters.inputs.card import ModelCard, read_card
from edge.errors import ConfigError
from tests.support.networks.tiny_network import CARD


def card_of(folder: Path, lines: str, without: tuple[str, ...] = ()) -> ModelCard:
    """The card of the small network with some lines written by hand."""
    rest = {key: value for key, value in CARD.items() if key not in without}
    (folder / "a.yaml").write_text(f"{lines}\n{yaml.safe_dump(rest)}")
    return read_card(folder / "a.yaml")


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("1.10", "1.10"),
        ("1.0", "1.0"),
        ("2", "2"),
        ("1e3", "1e3"),
        ("1_000", "1_000"),
        ("2026-11-26", "2026-11-26"),
        ("007", "007"),
        ("true", "true"),
        ('"1.10"', "1.10"),
    ],
)
def test_version_is_the_text_that_was_written(tmp_path: Path, written: str, version: str) -> None:
    assert card_of(tmp_path, f"version: {written}", ("version",)).version == version


@pytest.mark.parametrize("written", ["", "~", "[1, 2]", "' '"])
def test_version_without_a_text_is_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(ConfigError, match=r"a\.yaml: version is .*give text"):
        card_of(tmp_path, f"version: {written}", ("version",))


@pytest.mark.parametrize("written", ["007", "12", "1.10"])
def test_name_of_digits_is_the_text_that_was_written(tmp_path: Path, written: str) -> None:
    assert card_of(tmp_path, f"name: {written}", ("name",)).name == written


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ("[no, yes]", "no is unclear; give true or false, or put it into quotes"),
        ("[on, off]", "on is unclear"),
        ("[null, a]", "quote every name"),
        ("[1, 2]", "quote every name"),
        ("[IG, ig]", "'IG' and 'ig', which differ only in the case"),
        ("[Straße, STRASSE]", "differ only in the case"),
        ('["caf\\u00e9", "cafe\\u0301"]', "a name twice"),
        ("[a, a]", "a name twice"),
    ],
)
def test_classes_that_could_be_mistaken_are_refused(
    tmp_path: Path, classes: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        card_of(tmp_path, f"classes: {classes}", ("classes",))
    assert said in str(caught.value)


def test_classes_in_quotes_are_taken(tmp_path: Path) -> None:
    card = card_of(tmp_path, "classes: ['no', '007', 2026-11-26]", ("classes",))
    assert card.classes == ("no", "007", "2026-11-26")


def test_card_that_is_not_filled_in_names_every_place(tmp_path: Path) -> None:
    values: dict[str, Any] = {**CARD, "classes": ["a", "FILL IN", "FILL IN"], "version": "FILL IN"}
    values["input"] = {**CARD["input"], "mean": "FILL IN"}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    with pytest.raises(ConfigError) as caught:
        read_card(tmp_path / "a.yaml")
    assert str(caught.value) == (
        "a.yaml still says FILL IN at version, classes, input.mean; replace it by the value."
    )
