"""Loads the weights of a file into the card's architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from converters.architectures.file_names import file_names
from converters.loading.file_kind.quantized import already_quantized
from converters.loading.sandbox.messages import ChildRequest
from converters.loading.weights.candidates import Candidate, average_words, unwrapped
from converters.loading.weights.mismatch import does_not_fit
from converters.loading.weights.prefixes import Match, matches
from edge.errors import ModelError

_MOST_LEFT_OUT: Final = 20
_SHOWN: Final = 4
_NUMBERS: Final = {2: "two", 3: "three", 4: "four", 5: "five"}


@dataclass(frozen=True, slots=True)
class FilledNetwork:
    """A network with its weights. `key` is their place in the file; `facts` are the choices."""

    network: nn.Module
    key: str
    facts: dict[str, Any]


def fill_network(
    candidates: Sequence[Candidate], network: nn.Module, request: ChildRequest, architecture: str
) -> FilledNetwork:
    """Load the best of the candidates that fit into the network.

    Raises:
        ModelError: none fits, or several different ones fit equally well.
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
            return FilledNetwork(network, chosen.candidate.key, _facts(chosen, found))
        nearest.append(max(found, key=_closeness))
        _refuse_quantized(nearest[-1], wanted, request)
    raise does_not_fit(max(nearest, key=_closeness), request, architecture)


def _matches(candidates: Sequence[Candidate], wanted: Mapping[str, Tensor]) -> list[Match]:
    found = [match for candidate in candidates for match in matches(candidate, wanted)]
    if not any(match.fits for match in found):
        found += [m for c in map(unwrapped, candidates) for m in matches(c, wanted)]
    return found


def _closeness(match: Match) -> tuple[int, int]:
    return len(match.state) - len(match.shapes), -len(match.unexpected)


def _choose(fitting: Sequence[Match], request: ChildRequest) -> Match:
    """Choose a moving average if there is one, then the most common key."""
    pool = [match for match in fitting if match.is_average] or list(fitting)
    alike = [m for m in pool if m.candidate.rank == pool[0].candidate.rank]
    # An averaging class may store the latest weights beside the average.
    most = max(average_words(m.name) for m in alike)
    first, *others = [m for m in alike if average_words(m.name) == most]
    different = [m for m in others if not _are_equal(first.state, m.state)]
    if different:
        names = [repr(m.name) for m in (first, *different)]
        shown = " and ".join(names) if len(names) == 2 else ", ".join(names[:_SHOWN])
        raise ModelError(
            f"{request.name} holds {_NUMBERS.get(len(names), len(names))} sets of weights that "
            f"fit, {shown}. Save the one that is meant: torch.save(model.state_dict(), FILE)."
        )
    return first


def _are_equal(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return all(name in second and torch.equal(first[name], second[name]) for name in first)


def _refuse_quantized(chosen: Match, wanted: Mapping[str, Tensor], request: ChildRequest) -> None:
    for name, tensor in chosen.state.items():
        if wanted[name].is_floating_point() and not _is_float(tensor):
            raise already_quantized(request.name, f"{name[:80]} in {_type_name(tensor)}")


def _is_float(tensor: Tensor) -> bool:
    # Floats of 8 bits or fewer are quantized.
    return tensor.is_floating_point() and tensor.dtype.itemsize > 1


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
    """Why the moving average was not used, such as missing batch norm statistics."""
    averages = [match for match in found if match.is_average and match.state]
    if not averages:
        return None
    best = max(averages, key=_closeness)
    lacking = [*best.missing, *best.unexpected, *best.shapes]
    return f"{best.name}: {len(best.missing)} tensors are missing, such as {lacking[0][:80]}"


def _type_name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
