"""All graphs side by side, and the limits of the accuracy gate that each was judged by."""

from __future__ import annotations

from dataclasses import dataclass

from converters.report.accuracy import with_interval
from converters.report.figures.facts import Fields, drop_interval, graph_target, rescued
from converters.report.figures.numbers import (
    NOT_KNOWN,
    Noted,
    count,
    interval,
    number,
    percent,
    points,
    share,
)
from converters.report.verdict import Status, graph_status


@dataclass(frozen=True, slots=True)
class GraphRow:
    """One graph. What is empty does not apply, as the share of INT8 of a graph without INT8."""

    name: str
    target: str
    status: Status
    accuracy: Noted
    points_lost: Noted
    same_label: str
    divergence: Noted
    int8_share: str
    float_layers: str
    method: str


@dataclass(frozen=True, slots=True)
class Check:
    """One limit of the gate. `before` is what was found before layers went back to float."""

    name: str
    reason: str
    before: str
    found: str
    allowed: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Gate:
    """Every limit of the gate; `has_before` says whether there is anything to show of before."""

    checks: tuple[Check, ...]
    has_before: bool


def graph_rows(graphs: dict[str, Fields], facts: Fields) -> tuple[GraphRow, ...]:
    """All graphs side by side."""
    quantized = (facts.get("quantization") or {}).get("graphs") or {}
    return tuple(_graph_row(name, graph, quantized.get(name, {})) for name, graph in graphs.items())


def gate(graph: Fields) -> Gate:
    """Every limit of the accuracy gate: found, allowed, held."""
    naive = {check["name"]: check for check in graph.get("naive_checks", ())}
    checks = tuple(_check(check, naive.get(check["name"])) for check in graph["checks"])
    return Gate(checks, has_before=bool(rescued(graph)) and bool(naive))


def _graph_row(name: str, graph: Fields, quantized: Fields) -> GraphRow:
    limits = drop_interval(graph)
    is_quantized = "int8_share_of_macs" in graph
    in_float = quantized.get("float_layers", rescued(graph))
    return GraphRow(
        name=name,
        target=graph_target(name),
        status=graph_status(graph),
        accuracy=with_interval(graph["accuracy"]["int8"])
        if "accuracy" in graph
        else Noted(NOT_KNOWN),
        points_lost=Noted(points(graph["drop_points"]), interval(*map(points, limits)))
        if limits
        else Noted(NOT_KNOWN),
        same_label=share(graph["agreement"]),
        divergence=Noted(number(graph["divergence"]["value"]), _correction(graph)),
        int8_share=percent(graph["int8_share_of_macs"], 0) if is_quantized else "",
        float_layers=count(len(in_float)) if is_quantized else "",
        method=graph.get("method") or "none",
    )


def _correction(graph: Fields) -> str:
    found = graph.get("layer_correction")
    if not found:
        return ""
    before, after = (number(found[f"divergence_{when}"], 2) for when in ("before", "after"))
    # Evidence that does not say it is of a time when the corrected graph was always taken.
    is_kept = found.get("kept", True)
    return f"plain {before}, corrected {after}{'' if is_kept else ' (left out)'}"


def _check(check: Fields, naive: Fields | None) -> Check:
    found, allowed = _check_numbers(check)
    return Check(
        name=check["name"],
        reason="" if check["holds"] else check["text"],
        before=_check_numbers(naive)[0] if naive else "",
        found=found,
        allowed=allowed,
        holds=bool(check["holds"]),
    )


def _check_numbers(check: Fields) -> tuple[str, str]:
    name, found, limit = check["name"], check["found"], check["limit"]
    if name == "agreement":
        return percent(found, 2), f"at least {percent(limit, 2)}"
    if name == "class loss":
        return f"p = {number(found, 2)}", f"at least {number(limit, 2)}"
    if name == "divergence":
        return f"{number(found)} nats", f"at most {number(limit)} nats"
    if name == "calibration error rise":
        return f"{points(100 * found)} points", f"at most {points(100 * limit)} points"
    unit = " points" if name.endswith("drop") else ""
    return f"{points(found)}{unit}", f"at most {points(limit)}{unit}"
