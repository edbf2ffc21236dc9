"""The card's architecture, filled with the weights of a file that fit it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from converters.architectures.file_names import file_names
from converters.loading.border import Request
from converters.loading.weights.candidates import Candidate, unwrapped
from converters.loading.weights.mismatch import does_not_fit
from converters.loading.weights.prefixes import Match, matches
from edge.errors import ModelError

_MOST_LEFT_OUT: Final = 20


@dataclass(frozen=True, slots=True)
class Filled:
    """A network with its weights. `key` is where they lay in the file; `facts` what was chosen."""

    network: nn.Module
    key: str
    facts: dict[str, Any]


def fill_network(
    candidates: Sequence[Candidate], network: nn.Module, request: Request, architecture: str
) -> Filled:
    """Fill the network with the first of the candidates that fits it.

    Raises:
        ModelError: none fits, or several do and nothing tells which one is meant.
    """
    own = network.state_dict()
    nearest: list[Match] = []
    for names in file_names(network):
        wanted = {name: own[inner] for name, inner in names.items()}
        found = _matches(candidates, wanted)
        fitting = [match for match in found if match.fits]
        if fitting:
            chosen = _choose(fitting, request)
            _refuse_quantized(chosen, wanted, request)
            network.load_state_dict({names[n]: t for n, t in chosen.state.items()}, strict=False)
            return Filled(network, chosen.candidate.key, _facts(chosen, found))
        nearest.append(max(found, key=_closeness))
    raise does_not_fit(max(nearest, key=_closeness), request, architecture)


def _matches(candidates: Sequence[Candidate], wanted: Mapping[str, Tensor]) -> list[Match]:
    found = [match for candidate in candidates for match in matches(candidate, wanted)]
    if not any(match.fits for match in found):
        found += [m for c in map(unwrapped, candidates) for m in matches(c, wanted)]
    return found


def _closeness(match: Match) -> tuple[int, int]:
    return len(match.state) - len(match.shapes), -len(match.unexpected)


def _choose(fitting: Sequence[Match], request: Request) -> Match:
    """A moving average before all others, then what lies under the usual keys."""
    pool = [match for match in fitting if match.is_average] or list(fitting)
    first = pool[0]
    for other in pool[1:]:
        is_open = other.candidate.rank == first.candidate.rank
        if is_open and not _are_equal(first.state, other.state):
            names = " and ".join(
                repr(f"{m.candidate.key}.{m.prefix}".strip(".")) for m in (first, other)
            )
            raise ModelError(
                f"{request.name} holds two sets of weights that fit, {names}. Save the one that is "
                "meant: torch.save(model.state_dict(), FILE)."
            )
    return first


def _are_equal(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return all(name in second and torch.equal(first[name], second[name]) for name in first)


def _refuse_quantized(chosen: Match, wanted: Mapping[str, Tensor], request: Request) -> None:
    for name, tensor in chosen.state.items():
        if wanted[name].is_floating_point() and not tensor.is_floating_point():
            raise ModelError(
                f"{request.name} holds {name} as {_type_name(tensor)}, so it was quantized. "
                "Give the FP32 model that it was made of; the conversion quantizes it."
            )


def _facts(chosen: Match, found: Sequence[Match]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if chosen.candidate.key:
        facts |= {"key": chosen.candidate.key, "ema": chosen.is_average}
    if chosen.prefix:
        facts["prefix"] = chosen.prefix
    if chosen.prefix or chosen.left_out:
        facts["left_out"] = list(chosen.left_out[:_MOST_LEFT_OUT])
    types = {_type_name(t) for t in chosen.state.values() if t.is_floating_point()} - {"float32"}
    if types:
        facts["stored_as"] = sorted(types)
    not_taken = None if chosen.is_average else _average_not_taken(found)
    if not_taken:
        facts["not_taken"] = not_taken
    return facts


def _average_not_taken(found: Sequence[Match]) -> str | None:
    """Why the moving average was left, such as: it has no batch norm statistics."""
    averages = [match for match in found if match.is_average and match.state]
    if not averages:
        return None
    best = max(averages, key=_closeness)
    lacking = [*best.missing, *best.unexpected, *best.shapes]
    name = f"{best.candidate.key}.{best.prefix}".strip(".")
    return f"{name}: {len(best.missing)} tensors are missing, such as {lacking[0][:80]}"


def _type_name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
