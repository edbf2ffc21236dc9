"""The engineer's part: how the ranges were chosen, and what each layer does to the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from converters.report.drawings import bar, histogram, outside
from converters.report.facts import Fields, rescued
from converters.report.markup import EMPTY, Html, join, name_of, table, tag
from converters.report.numbers import number, percent

SHOWN_EFFECTS: Final = 20


def method_table(graph: Fields) -> Html:
    """Every range method by what it does to the probabilities, the chosen one marked."""
    scores: dict[str, float] = graph.get("method_divergence") or {}
    if not scores:
        return EMPTY
    worst = max(*scores.values(), 1e-12)
    columns = [("Method", "text"), ("Divergence, nats", "number"), ("", "picture")]
    rows = []
    for name, score in sorted(scores.items(), key=lambda item: item[1]):
        chosen = name == graph["method"]
        title = join((name_of(name), tag("strong", " chosen") if chosen else EMPTY))
        picture = bar(score / worst, "int8" if chosen else "other", f"{number(score)} nats")
        rows.append([title, number(score), picture])
    caption = (
        "Divergence from FP32 on calibration images, every class weighing the same, after the "
        "layers were corrected; before it where that is three times the least or more"
    )
    return table(caption, columns, rows)


def histogram_figures(graph: Fields) -> Html:
    """The tensors that INT8 represents worst."""
    figures = [_histogram_figure(tensor) for tensor in graph.get("worst_tensors", ())]
    if not figures:
        return EMPTY
    note = (
        "Values that each tensor takes on the calibration images; heights are counts on a "
        "logarithmic scale. INT8 covers the shaded range between the two lines. Orange bars lie "
        "outside and are clipped to it."
    )
    return join((tag("p", note), tag("div", *figures, class_="histograms")))


def effect_table(graph: Fields) -> Html:
    """What quantizing one layer alone does, the worst layers first."""
    effects = graph.get("layer_effects", ())
    if not effects:
        return EMPTY
    worst, in_float = max(effects[0]["divergence"], 1e-12), set(rescued(graph))
    columns = [("Layer", "text"), ("Divergence, nats", "number"), ("", "picture")]
    rows = [
        _effect_row(effect, worst, back=effect["name"] in in_float)
        for effect in effects[:SHOWN_EFFECTS]
    ]
    caption = f"Divergence when this layer alone is INT8: {len(rows)} of {len(effects)} layers"
    return table(caption, columns, rows)


def rescue_table(graph: Fields) -> Html:
    """The layers that went back to float, in order, and what was still missed after each."""
    steps = graph.get("rescue_steps", ())
    if not steps:
        return EMPTY
    columns = [
        ("Step", "number"),
        ("Layer put back in float", "text"),
        ("Arithmetic still INT8", "number"),
        ("Limits still missed", "text"),
    ]
    rows = [
        [str(number_), _tried(step), percent(step["int8_share"]), _missed(step)]
        for number_, step in enumerate(steps, start=1)
    ]
    return table("One by one, the layer with the largest effect first", columns, rows)


def _histogram_figure(tensor: Fields) -> Html:
    low, high = (number(value) for value in tensor["range"])
    first, last = (number(value) for value in tensor["seen"])
    text = (
        f"INT8 range {low} to {high}; seen {first} to {last}. "
        f"{number(100 * outside(tensor), 2)}% of the values are clipped; "
        f"error {percent(tensor['noise'])} of the values' size."
    )
    return tag("figure", histogram(tensor), tag("figcaption", _code(tensor["name"]), text))


def _effect_row(effect: Fields, worst: float, *, back: bool) -> Sequence[str]:
    name = join((_code(effect["name"]), tag("strong", " now float") if back else EMPTY))
    divergence = effect["divergence"]
    picture = bar(divergence / worst, "float" if back else "int8", f"{number(divergence)} nats")
    return name, number(divergence), picture


def _tried(step: Fields) -> Html:
    # Steps after the best one brought nothing and were taken back.
    note = EMPTY if step.get("is_kept", True) else tag("small", " taken back")
    return join((_code(step["kept_float"]), note))


def _missed(step: Fields) -> str:
    return ", ".join(step["missed"]) or "none: all limits hold"


def _code(name: str) -> Html:
    return tag("code", name_of(name))
