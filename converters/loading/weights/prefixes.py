"""Matches a file's tensor names with the architecture's, with a common prefix removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from torch import Tensor

from converters.loading.weights.candidates import Candidate, is_average

# A counter of training steps without effect on outputs. Files of old torch versions lack it.
_STEP_COUNT: Final = "num_batches_tracked"
# Operation counts that profilers store in a network.
_COUNTS: Final = ("total_ops", "total_params")
_LOSSES: Final = ("loss", "criterion")


@dataclass(frozen=True, slots=True)
class Match:
    """The comparison of a candidate's tensors under one prefix with the architecture.

    Attributes:
        state: the matching tensors, by name without the prefix.
        missing: names that only the architecture has.
        unexpected: names below the prefix that only the file has.
        shapes: by name, differing shapes in the file and in the architecture.
        left_out: names that belong to the training: outside the prefix, counters, losses.
    """

    candidate: Candidate
    prefix: str
    state: Mapping[str, Tensor]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    left_out: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether names and shapes match exactly."""
        return not self.missing and not self.unexpected and not self.shapes

    @property
    def is_average(self) -> bool:
        """Whether the key or the prefix names a moving average."""
        return is_average(self.name)

    @property
    def name(self) -> str:
        """Key and prefix: the place in the file."""
        return f"{self.candidate.key}.{self.prefix}".strip(".")


def matches(candidate: Candidate, wanted: Mapping[str, Tensor]) -> list[Match]:
    """Matches of the candidate for each possible prefix, best first."""
    found = _prefixes(candidate.tensors, wanted.keys())
    return [_match(candidate, prefix, wanted) for prefix, _ in found.most_common(8)]


def _prefixes(names: Iterable[str], wanted: Iterable[str]) -> Counter[str]:
    """By prefix, the number of wanted names that match after removing it; includes no prefix."""
    known, found = frozenset(wanted), Counter({"": 0})
    for name in names:
        parts = name.split(".")
        for cut in range(len(parts)):
            if ".".join(parts[cut:]) in known:
                found["".join(f"{part}." for part in parts[:cut])] += 1
    return found


def _match(candidate: Candidate, prefix: str, wanted: Mapping[str, Tensor]) -> Match:
    below = {
        n.removeprefix(prefix): t for n, t in candidate.tensors.items() if n.startswith(prefix)
    }
    training = {name for name in below.keys() - wanted.keys() if _is_training(name)}
    state = {name: below[name] for name in below if name in wanted}
    return Match(
        candidate=candidate,
        prefix=prefix,
        state=state,
        missing=tuple(n for n in wanted if n not in below and not n.endswith(_STEP_COUNT)),
        unexpected=tuple(n for n in below if n not in wanted and n not in training),
        shapes={
            name: (tuple(tensor.shape), tuple(wanted[name].shape))
            for name, tensor in state.items()
            if tensor.shape != wanted[name].shape
        },
        left_out=tuple(
            name
            for name in candidate.tensors
            if not name.startswith(prefix) or name.removeprefix(prefix) in training
        ),
    )


def _is_training(name: str) -> bool:
    first, last = name.partition(".")[0].lower(), name.rpartition(".")[2]
    return last in _COUNTS or any(word in first.split("_") for word in _LOSSES)
