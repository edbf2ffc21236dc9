"""The sets of named tensors in a file, each of which may be the network's weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

from converters.loading.pickled.tensors import as_tensor
from converters.loading.weights.walk import contents, held_in

# What is validated at the end of a training is usually the moving average.
_EMA_KEYS: Final = ("ema_state_dict", "state_dict_ema", "ema", "model_ema")
_PLAIN_KEYS: Final = ("state_dict", "model_state_dict", "model", "net")
# An averaging object saves its own state around the weights.
KNOWN_KEYS: Final = (*_EMA_KEYS, *_PLAIN_KEYS, "module")
_AVERAGE: Final = re.compile(r"(?:^|[^a-z])(?:ema|swa|averaged)(?:$|[^a-z])")
# torch.compile, FSDP, activation checkpoints.
_SHELLS: Final = re.compile(r"\b(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Tensors by name. `key` is where they lie in the file, empty for the file itself."""

    key: str
    tensors: Mapping[str, Tensor]

    @property
    def rank(self) -> tuple[int, ...]:
        """Sorts the keys that training frameworks use before all others."""
        places = (KNOWN_KEYS.index(k) if k in KNOWN_KEYS else 99 for k in self.key.split("."))
        return tuple(places) if self.key else ()


def find_candidates(tree: object) -> list[Candidate]:
    """All dictionaries in a file that hold tensors under names; averages and usual keys first."""
    found = [
        Candidate(key, tensors)
        for key, content in contents(tree)
        if isinstance(mapping := held_in(content), dict) and (tensors := _tensors(mapping))
    ]
    return sorted(found, key=lambda c: (not is_average(c.key), c.rank))


def unwrapped(candidate: Candidate) -> Candidate:
    """The same without the names of the shells that torch puts around parts of a network."""
    names = {name: _SHELLS.sub("", name) for name in candidate.tensors}
    return Candidate(candidate.key, {names[n]: t for n, t in candidate.tensors.items()})


def is_average(name: str) -> bool:
    """Whether a key or prefix says that it is a moving average of the weights."""
    return average_words(name) > 0


def average_words(name: str) -> int:
    """How many parts of a key and prefix say so: `ema.online_model` one, `ema.ema_model` two."""
    return sum(_AVERAGE.search(part) is not None for part in name.lower().split("."))


def _tensors(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {
        key: tensor
        for key, value in content.items()
        if isinstance(key, str) and (tensor := as_tensor(value)) is not None
    }
