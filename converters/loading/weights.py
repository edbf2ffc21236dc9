"""Which of a file's tensors are the network's weights, under which names."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from typing_extensions import TypeIs

from converters.architectures import build_network
from converters.loading.border import Request
from edge.errors import ModelError

# What is validated at the end of a training is usually the moving average.
_EMA_KEYS: Final = ("ema_state_dict", "state_dict_ema", "ema", "model_ema")
_PLAIN_KEYS: Final = ("state_dict", "model_state_dict", "model", "net")
# Left by DataParallel, by torch.compile, and by a training module that holds the network.
_PREFIXES: Final = ("module.", "_orig_mod.", "model.")
_MAX_PREFIXES: Final = 3


@dataclass(frozen=True, slots=True)
class Weights:
    """The content found in a file; `facts` says where. A module only comes from a trusted file."""

    content: Mapping[str, Tensor] | nn.Module
    is_checkpoint: bool
    facts: dict[str, Any]


def find_weights(loaded: object, name: str) -> Weights:
    """The state dict in what torch.load gave: itself, or under a training framework's key.

    Raises:
        ModelError: there is none.
    """
    if _is_network(loaded):
        return Weights(loaded, is_checkpoint=False, facts={})
    if not isinstance(loaded, dict):
        raise ModelError(
            f"{name} holds {type(loaded).__name__}, not a state dict of tensors. "
            "Save it with torch.save(model.state_dict(), FILE)."
        )
    for key, content in _candidates(loaded):
        if _is_network(content):
            ema = key.split(".")[0] in _EMA_KEYS
            return Weights(content, is_checkpoint=True, facts={"key": key, "ema": ema})
    found = ", ".join(str(key)[:30] for key in itertools.islice(loaded, 8)) or "nothing"
    raise ModelError(
        f"{name} is a dictionary of {found}; weights were looked for under "
        f"{', '.join(_EMA_KEYS + _PLAIN_KEYS)}. Save it with torch.save(model.state_dict(), FILE)."
    )


def fill_network(weights: Mapping[str, Tensor], request: Request) -> tuple[nn.Module, str]:
    """The card's architecture with these weights, and the prefix that was taken off their names.

    Raises:
        ModelError: the names or shapes are not the architecture's.
    """
    network = build_network(request.architecture, request.class_count)
    prefix = _fitting_prefix(weights, network)
    state = _stripped(weights, prefix)
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        problems = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{request.name} does not fit architecture {request.architecture} with "
            f"{request.class_count} classes: {problems}"
        ) from error
    return network, prefix


def _candidates(loaded: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key in (*_EMA_KEYS, *_PLAIN_KEYS):
        content = loaded.get(key)
        yield key, content
        if isinstance(content, dict) and not _is_network(content):
            # An averaging object saves its own state around the weights.
            for inner in (*_PLAIN_KEYS, "module"):
                yield f"{key}.{inner}", content.get(inner)


def _is_network(content: object) -> TypeIs[dict[str, Tensor] | nn.Module]:
    if not isinstance(content, dict):
        return isinstance(content, nn.Module)
    tensors = (isinstance(k, str) and torch.is_tensor(v) for k, v in content.items())
    return bool(content) and all(tensors)


def _fitting_prefix(weights: Mapping[str, Tensor], network: nn.Module) -> str:
    """The shortest prefix that leaves just the network's names, else what all names carry.

    Tensors without the prefix (a loss, a step counter) belong to the training and stay behind.
    """
    wanted = network.state_dict().keys()
    prefixes = [
        "".join(chain)
        for count in range(_MAX_PREFIXES + 1)
        for chain in itertools.permutations(_PREFIXES, count)
    ]
    fitting = [p for p in prefixes if _stripped(weights, p).keys() == wanted]
    common = [p for p in prefixes if all(name.startswith(p) for name in weights)]
    return fitting[0] if fitting else common[-1]


def _stripped(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
