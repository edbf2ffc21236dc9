"""Write a new card beside a model's file."""

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
    """A card that was written, and how many marks a person has to replace in it.

    `trust`: the hash that a conversion needs in `--trust-pickle`, where the file is code.
    """

    path: Path
    marks: int
    trust: str | None


def write_new_card(model: Path, card: Path) -> NewCard:
    """Write what the model's file and the configuration beside it tell.

    The file is opened in a child process, as for a conversion; nothing of it is run.

    Raises:
        ConfigError: the card is there already.
        ModelError: the file cannot be read.
        StorageError: the card cannot be written.
    """
    if card.exists() or card.is_symlink():
        raise ConfigError(f"{card} exists; --new-card replaces none. Give --card another name.")
    described = describe_model(model)
    # Of the files in the folder that transformers or timm saved, the folder has the name.
    named = model.parent.resolve().name if model.name in WEIGHTS else card_of(model).stem
    name = re.sub(r"[^\w.-]+", "-", named).strip("-.") or "model"
    found = read_configs(model).or_else(described.findings)
    text = card_text(model.name, name, described.kind, found)
    atomic.write_file(card, text.encode())
    marks = sum(line.partition("#")[0].count(FILL_IN) for line in text.splitlines())
    return NewCard(card, marks, described.trust)
