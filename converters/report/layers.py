"""The engineer's part: how the ranges were chosen, and what each layer does to the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from converters.report.drawings.bars import bar
from converters.report.drawings.histogram import histogram, outside
from converters.report.figures.facts import Fields, rescued
from converters.report.figures.numbers import number, percent

SHOWN_EFFECTS: Final = 20


@dataclass(frozen=True, slots=True)
class Method:
    """A way to choose ranges, and what it does to the probabilities."""

    name: str
    is_chosen: bool
    divergence: str
    bar: Markup


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor that INT8 represents badly; `text` says in numbers what `histogram` shows."""

    name: str
    text: str
    histogram: Markup


@dataclass(frozen=True, slots=True)
class Effect:
    """What quantizing one layer alone does."""

    layer: str
    is_float: bool
    divergence: str
    bar: Markup


@dataclass(frozen=True, slots=True)
class Effects:
    """The layers with the largest effect, of so many in all."""

    layers: tuple[Effect, ...]
    total: int


@dataclass(frozen=True, slots=True)
class RescueStep:
    """A layer that was put back in float, and the names of the limits still missed after it."""

    layer: str
    is_kept: bool
    int8_share: str
    missed: str


def methods(graph: Fields) -> tuple[Method, ...]:
    """Every range method, the best first; none where none was tried."""
    scores: dict[str, float] = graph.get("method_divergence") or {}
    worst = max([*scores.values(), 1e-12])
    return tuple(
        _method(name, score, worst, is_chosen=name == graph["method"])
        for name, score in sorted(scores.items(), key=lambda item: item[1])
    )


def worst_tensors(graph: Fields) -> tuple[Tensor, ...]:
    """The tensors that INT8 represents worst."""
    return tuple(_tensor(tensor) for tensor in graph.get("worst_tensors", ()))


def effects(graph: Fields) -> Effects | None:
    """What quantizing one layer alone does, the worst layers first; None if not measured."""
    found = graph.get("layer_effects", ())
    if not found:
        return None
    worst, in_float = max(found[0]["divergence"], 1e-12), set(rescued(graph))
    shown = tuple(
        _effect(effect, worst, is_float=effect["name"] in in_float)
        for effect in found[:SHOWN_EFFECTS]
    )
    return Effects(shown, len(found))


def rescue_steps(graph: Fields) -> tuple[RescueStep, ...]:
    """The layers that went back to float, in order."""
    return tuple(
        RescueStep(
            layer=step["kept_float"],
            # Steps after the best one brought nothing and were taken back.
            is_kept=step.get("is_kept", True),
            int8_share=percent(step["int8_share"]),
            missed=", ".join(step["missed"]),
        )
        for step in graph.get("rescue_steps", ())
    )


def _method(name: str, score: float, worst: float, *, is_chosen: bool) -> Method:
    kind = "int8" if is_chosen else "other"
    picture = bar(score / worst, kind, f"{number(score)} nats")
    return Method(name, is_chosen, number(score), picture)


def _effect(effect: Fields, worst: float, *, is_float: bool) -> Effect:
    divergence, kind = effect["divergence"], "float" if is_float else "int8"
    picture = bar(divergence / worst, kind, f"{number(divergence)} nats")
    return Effect(effect["name"], is_float, number(divergence), picture)


def _tensor(tensor: Fields) -> Tensor:
    low, high = (number(value) for value in tensor["range"])
    first, last = (number(value) for value in tensor["seen"])
    text = (
        f"INT8 range {low} to {high}; seen {first} to {last}. "
        f"{number(100 * outside(tensor), 2)}% of the values are clipped; "
        f"error {percent(tensor['noise'])} of the values' size."
    )
    return Tensor(tensor["name"], text, histogram(tensor))
