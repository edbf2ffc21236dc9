"""The report's tables: accuracy, classes, confusion, the gate, all graphs, the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any, Final

from converters.accuracy.validation_size import THIN_CLASS_IMAGES
from converters.report.drawings import recall_bars
from converters.report.facts import Fields, drop_interval, graph_target, rescued
from converters.report.markup import EMPTY, Html, join, name_of, scrolling, table, tag
from converters.report.numbers import (
    NOT_KNOWN,
    count,
    interval,
    number,
    percent,
    points,
    share,
    share_interval,
)
from converters.report.verdict import graph_status

_BOTH: Final = (("fp32", "FP32"), ("int8", "INT8"))
# Shades of the heat tables, from the lightest to the darkest.
_SHADES: Final = 5


def accuracy_table(graph: Fields) -> Html:
    """The measures of both models over all images."""
    columns = [("Measure", "text"), ("FP32", "number"), ("INT8", "number")]
    return table(
        "Over all validation images; small numbers are 95% intervals",
        columns,
        _accuracy_rows(graph),
    )


def class_table(graph: Fields) -> Html:
    """Recall of each class with its interval, in numbers and as bars."""
    columns = [
        ("Class", "text"),
        ("Images", "number"),
        ("FP32", "number"),
        ("INT8", "number"),
        ("Points lost", "number"),
        ("0% to 100%", "picture"),
    ]
    key = (tag("span", text, class_=f"key {kind}") for kind, text in _BOTH)
    rows = (_class_row(name, found) for name, found in graph["per_class"].items())
    caption = "Share of each class's images that are labelled right; whiskers are 95% intervals"
    return join((tag("p", *key, class_="keys"), table(caption, columns, rows)))


def confusion_tables(graph: Fields, classes: Sequence[str]) -> Html:
    """Both confusion tables side by side; INT8's cells that differ are marked."""
    fp32, int8 = (graph["confusion"][precision] for precision, _ in _BOTH)
    pair = (_confusion("FP32", fp32, fp32, classes), _confusion("INT8", int8, fp32, classes))
    note = (
        "Rows are the true classes, columns the labels given, numbers are images. Blue: right. "
        "Orange: wrong. "
    )
    changed = fp32 != int8
    difference = (
        "A framed cell of the INT8 table differs from FP32 by the small number."
        if changed
        else "Both tables are the same."
    )
    return join((tag("p", note, difference), tag("div", *pair, class_="pair")))


def gate_table(graph: Fields) -> Html:
    """Every limit of the accuracy gate: found, allowed, held."""
    naive = {check["name"]: check for check in graph.get("naive_checks", ())}
    before = bool(rescued(graph)) and bool(naive)
    columns = [("Limit", "text"), ("Found", "number"), ("Allowed", "number"), ("Held", "text")]
    if before:
        columns.insert(1, ("Before layers went back to float", "number"))
    rows = []
    for check in graph["checks"]:
        row = [_check_name(check), *_check_numbers(check), _held(check["holds"])]
        if before:
            row.insert(1, _check_numbers(naive[check["name"]])[0] if check["name"] in naive else "")
        rows.append(row)
    return table("What INT8 may lose against FP32", columns, rows)


def graphs_table(graphs: dict[str, Fields], facts: Fields) -> Html:
    """All graphs side by side."""
    columns = [
        ("Graph", "text"),
        ("Verdict", "text"),
        ("Accuracy", "number"),
        ("Points lost", "number"),
        ("Same label as FP32", "number"),
        ("Divergence, nats", "number"),
        ("Arithmetic in INT8", "number"),
        ("Layers in float", "number"),
        ("Ranges by", "text"),
    ]
    quantized = (facts.get("quantization") or {}).get("graphs") or {}
    rows = (_graph_row(name, graph, quantized.get(name, {})) for name, graph in graphs.items())
    caption = (
        "Small numbers are 95% intervals; those of the divergence are from calibration images, "
        "plain and with corrected layers. How fast a graph is depends on the machine: edge-bench "
        "measures it, and a machine that opens the bundle takes the faster one"
    )
    return table(caption, columns, rows)


def _accuracy_rows(graph: Fields) -> Iterator[list[str]]:
    if "accuracy" in graph:
        yield ["Accuracy", *(_with_interval(graph["accuracy"][p]) for p, _ in _BOTH)]
        yield ["Balanced accuracy (mean recall)", *_estimates(graph["balanced_accuracy"])]
        yield ["Calibration error of the confidence", *_estimates(graph["calibration_error"])]
        yield [
            "Class with the lowest recall",
            *(_worst(graph, p) for p, _ in _BOTH),
        ]
        chance = f"p = {number(graph['paired_p_value'], 2)}"
        yield ["Chance of such a difference between equals (McNemar)", "", chance]
    yield ["Same label as FP32", "", _with_interval(graph["agreement"])]
    found = graph["divergence"]
    limits = interval(number(found["low"]), number(found["high"]))
    yield [
        "Divergence of the probabilities",
        "",
        _noted(f"{number(found['value'])} nats", limits),
    ]


def _worst(graph: Fields, precision: str) -> Html:
    name = graph["worst_class"][precision]
    return _noted(name_of(name), share(graph["per_class"][name][precision]))


def _estimates(both: Fields) -> Iterator[str]:
    for precision, _ in _BOTH:
        found = both[precision]
        yield _noted(percent(found["value"]), share_interval(found))


def _with_interval(found: Fields) -> Html:
    return _noted(share(found), share_interval(found) if found["total"] else "no images")


def _noted(value: str, note: str) -> Html:
    return join((value, tag("small", note)))


def _class_row(name: str, found: Fields) -> list[str]:
    fp32, int8 = found["fp32"], found["int8"]
    label = f"Recall of {name}: FP32 {share(fp32)}, INT8 {share(int8)}"
    return [
        name_of(name),
        _image_count(fp32["total"]),
        _with_interval(fp32),
        _with_interval(int8),
        _points_lost(found),
        recall_bars(fp32, int8, label),
    ]


def _image_count(total: int) -> Html:
    return _noted(count(total), "too few" if total < THIN_CLASS_IMAGES else "")


def _points_lost(found: Fields) -> Html:
    """Of one class, with the interval and the images that differ; bundles before it have none."""
    if "lost" not in found or not found["fp32"]["total"]:
        return tag("span", NOT_KNOWN)
    drop = 100 * (found["fp32"]["rate"] - found["int8"]["rate"])
    limits = interval(*map(points, found["drop_interval_points"]))
    images = f"; {count(found['lost'])} lost, {count(found['gained'])} gained"
    return _noted(points(drop), f"{limits}{images}")


def _confusion(
    title: str, counts: list[list[int]], reference: list[list[int]], classes: Sequence[str]
) -> Html:
    corner = tag("th", "true class", class_="corner", scope="col")
    head = (tag("th", tag("span", name_of(c)), class_="label", scope="col") for c in classes)
    rows = [
        tag(
            "tr",
            tag("th", name_of(classes[i]), class_="text", scope="row"),
            *(_cell(i, j, row, reference[i][j]) for j in range(len(row))),
        )
        for i, row in enumerate(counts)
    ]
    heading = tag("caption", f"{title}: true class against label given")
    body = (tag("thead", tag("tr", corner, *head)), tag("tbody", *rows))
    return scrolling(f"Confusion table of {title}", tag("table", heading, *body, class_="heat"))


def _cell(true: int, given: int, row: list[int], before: int) -> Html:
    found = row[given]
    shade = min(ceil(_SHADES * found / max(sum(row), 1)), _SHADES)
    hue = "right" if true == given else "wrong"
    kind = f"{hue}{shade}" if found else "none"
    if found == before:
        return tag("td", count(found), class_=kind)
    difference = tag("sup", points(found - before, 0) if found < before else f"+{found - before}")
    return tag("td", count(found), difference, class_=f"{kind} changed")


def _check_name(check: Fields) -> Html:
    if check["holds"]:
        return tag("span", check["name"])
    return _noted(check["name"], check["text"])


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


def _held(holds: Any) -> Html:
    sign, word, kind = (
        ("\N{CHECK MARK}", "held", "good") if holds else ("\N{MULTIPLICATION X}", "missed", "bad")
    )
    return tag("span", tag("span", sign, class_="sign", aria_hidden="true"), word, class_=kind)


def _correction(graph: Fields) -> str:
    found = graph.get("layer_correction")
    if not found:
        return ""
    before, after = (number(found[f"divergence_{when}"], 2) for when in ("before", "after"))
    # Evidence that does not say it is of a time when the corrected graph was always taken.
    is_kept = found.get("kept", True)
    return f"plain {before}, corrected {after}{'' if is_kept else ' (left out)'}"


def _graph_row(name: str, graph: Fields, quantized: Fields) -> list[str]:
    limits = drop_interval(graph)
    lost = (
        _noted(points(graph["drop_points"]), interval(*map(points, limits)))
        if limits
        else NOT_KNOWN
    )
    accuracy = graph["accuracy"]["int8"] if "accuracy" in graph else None
    is_quantized = "int8_share_of_macs" in graph
    in_float = quantized.get("float_layers", rescued(graph))
    return [
        _noted(name, graph_target(name)),
        graph_status(graph),
        _with_interval(accuracy) if accuracy else NOT_KNOWN,
        lost,
        share(graph["agreement"]),
        _noted(number(graph["divergence"]["value"]), _correction(graph)),
        percent(graph["int8_share_of_macs"], 0) if is_quantized else EMPTY,
        count(len(in_float)) if is_quantized else EMPTY,
        name_of(graph.get("method") or "none"),
    ]
