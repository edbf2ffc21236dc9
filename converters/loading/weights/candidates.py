"""Finds all sets of named tensors in a file that may be the network's weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

from converters.loading.pickled.tensors import as_tensor
from converters.loading.weights.walk import contents, items_of

# Trainings usually validate the moving average (EMA) of the weights, so it is preferred.
_EMA_KEYS: Final = ("ema_state_dict", "state_dict_ema", "ema", "model_ema")
_PLAIN_KEYS: Final = ("state_dict", "model_state_dict", "model", "net")
# "module": averaging classes store the weights under this key.
KNOWN_KEYS: Final = (*_EMA_KEYS, *_PLAIN_KEYS, "module")
_AVERAGE: Final = re.compile(r"(?:^|[^a-z])(?:ema|swa|averaged)(?:$|[^a-z])")
# Name parts added by torch.compile, FSDP and activation checkpointing.
_SHELLS: Final = re.compile(r"\b(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Tensors by name. `key` is their place in the file; empty for the top level."""

    key: str
    tensors: Mapping[str, Tensor]

    @property
    def rank(self) -> tuple[int, ...]:
        """A sort key: keys that training frameworks use come first."""
        places = (KNOWN_KEYS.index(k) if k in KNOWN_KEYS else 99 for k in self.key.split("."))
        return tuple(places) if self.key else ()


def find_candidates(tree: object) -> list[Candidate]:
    """All dictionaries of named tensors in a file; averages first, then common keys."""
    found = [
        Candidate(key, tensors)
        for key, content in contents(tree)
        if isinstance(mapping := items_of(content), dict) and (tensors := _tensors(mapping))
    ]
    return sorted(found, key=lambda c: (not is_average(c.key), c.rank))


def unwrapped(candidate: Candidate) -> Candidate:
    """The same, without the name parts that torch's wrappers add."""
    names = {name: _SHELLS.sub("", name) for name in candidate.tensors}
    return Candidate(candidate.key, {names[n]: t for n, t in candidate.tensors.items()})


def is_average(name: str) -> bool:
    """Whether a key or prefix names a moving average of the weights."""
    return average_words(name) > 0


def average_words(name: str) -> int:
    """How many parts of a name mean an average: `ema.online_model` 1, `ema.ema_model` 2."""
    return sum(_AVERAGE.search(part) is not None for part in name.lower().split("."))


def _tensors(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {
        key: tensor
        for key, value in content.items()
        if isinstance(key, str) and (tensor := as_tensor(value)) is not None
    }
