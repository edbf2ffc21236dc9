"""Writes a new card beside a model's file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from converters.inputs.card import FILL_IN
from converters.loading.checkpoint import describe_model
from converters.model_files.folders import WEIGHTS
from converters.model_files.shards import card_of
from converters.new_card.configs import read_configs
from converters.new_card.text import card_text
from edge.errors import ConfigError
from edge.files import atomic


@dataclass(frozen=True, slots=True)
class NewCard:
    """A written card, and its number of FILL IN marks.

    `trust`: the hash that a conversion needs in `--trust-pickle`; None if it needs none.
    """

    path: Path
    marks: int
    trust: str | None


def write_new_card(model: Path, card: Path) -> NewCard:
    """Write a card with the values found in the model's file and the configuration beside it.

    A child process reads the file, without running its code.

    Raises:
        ConfigError: the card exists already.
        ModelError: the file cannot be read.
        StorageError: the card cannot be written.
    """
    if card.exists() or card.is_symlink():
        raise ConfigError(f"{card} exists; --new-card replaces none. Give --card another name.")
    described = describe_model(model)
    # In a folder that transformers or timm saved, the folder has the model's name.
    named = model.parent.resolve().name if model.name in WEIGHTS else card_of(model).stem
    name = re.sub(r"[^\w.-]+", "-", named).strip("-.") or "model"
    found = read_configs(model).completed_by(described.findings)
    text = card_text(model.name, name, described.kind, found)
    atomic.write_file(card, text.encode())
    marks = sum(line.partition("#")[0].count(FILL_IN) for line in text.splitlines())
    return NewCard(card, marks, described.trust)
