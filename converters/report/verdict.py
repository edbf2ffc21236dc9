"""The top of the report: what a laboratory person has to know, and what to be warned of."""

from __future__ import annotations

from collections.abc import Iterator

from converters.accuracy.validation_size import THIN_CLASS_IMAGES, weak_classes_text
from converters.report.facts import (
    DEFAULT_GRAPH,
    DRAWN_ORIGIN,
    Fields,
    calibration,
    default_graph,
    drop_interval,
    empty_classes,
    graph_title,
    missed,
    not_made,
    rescued,
    right_of_class,
    thin_classes,
)
from converters.report.markup import EMPTY, Html, join, name_of, tag
from converters.report.numbers import count, interval, number, percent, points, share_interval
from edge.text.counted import counted

# CSS class, and the sign that says the same without colour.
_GOOD, _WARN, _BAD = ("good", "\N{CHECK MARK}"), ("warn", "!"), ("bad", "\N{MULTIPLICATION X}")


def verdict(evidence: Fields, facts: Fields) -> Html:
    """One sentence, four numbers, a line for each graph, and the warnings."""
    (kind, sign), headline = _headline(evidence)
    title = tag("h2", tag("span", sign, class_="sign", aria_hidden="true"), headline, id="verdict")
    warnings = [tag("li", text) for text in _warnings(evidence, facts)]
    return tag(
        "section",
        title,
        tag("p", _sentence(evidence), class_="sentence"),
        tag("dl", *_tiles(evidence, facts), class_="tiles"),
        tag("ul", *_graph_lines(evidence), class_="graphs"),
        tag("ul", *warnings, class_="warnings", aria_label="Warnings") if warnings else EMPTY,
        class_=f"verdict {kind}",
        aria_labelledby="verdict",
    )


def graph_status(graph: Fields) -> Html:
    """Passed or refused, in words, with a sign and a colour."""
    (kind, sign), word = _status(graph)
    return tag("span", tag("span", sign, class_="sign", aria_hidden="true"), word, class_=kind)


def _status(graph: Fields) -> tuple[tuple[str, str], str]:
    if not graph["passed"]:
        return _BAD, "refused"
    if layers := rescued(graph):
        return _WARN, f"passed with {counted(len(layers), 'layer')} in float"
    return _GOOD, "passed"


def _headline(evidence: Fields) -> tuple[tuple[str, str], str]:
    graphs, name, failed = evidence["graphs"], default_graph(evidence), not_made(evidence)
    if DEFAULT_GRAPH in failed:
        return (
            _BAD,
            f"FP32 only on CPUs: INT8 could not be made for {graph_title(DEFAULT_GRAPH)}",
        )
    if name is None:
        return _WARN, "FP32 only: no INT8 graph was made"
    if not graphs[name]["passed"]:
        return _BAD, f"FP32 only on CPUs: INT8 was refused for {graph_title(name)}"
    refused = [other for other, graph in graphs.items() if not graph["passed"]]
    if refused:
        return _WARN, f"INT8 passed for {name}, but was refused for {', '.join(refused)}"
    if unmade := [other for other in failed if other != "fp16"]:
        return _WARN, f"INT8 passed for {name}, but could not be made for {', '.join(unmade)}"
    return _headline_of_passed(evidence)


def _headline_of_passed(evidence: Fields) -> tuple[tuple[str, str], str]:
    # A green verdict is for what was shown on labelled images of real cells.
    if not evidence["validation"]["labelled"]:
        return _WARN, "INT8 agrees with FP32; whether either is right was not checked"
    if evidence["validation"]["origin"] == DRAWN_ORIGIN:
        return _WARN, "INT8 passed, but on drawn cells only"
    if unsure := [*thin_classes(evidence), *empty_classes(evidence)]:
        return _WARN, f"INT8 passed, but on too few images of {', '.join(unsure)}"
    if any(rescued(graph) for graph in evidence["graphs"].values()):
        return _WARN, "INT8 passed, with some layers in float"
    return _GOOD, "INT8 passed the accuracy check"


def _sentence(evidence: Fields) -> str:
    images, name = count(evidence["validation"]["images"]), default_graph(evidence)
    fp32 = evidence["fp32"]["accuracy"]
    if name is None:
        right = "" if fp32 is None else f", and labels {count(fp32['count'])} of them right"
        return f"The FP32 model was run on {images} images{right}."
    graph = evidence["graphs"][name]
    same = f"gives {count(graph['agreement']['count'])} of {images} images the same label as FP32"
    if "accuracy" not in graph:
        return f"INT8 {same}. How many of them are right is not known."
    before, after = (graph["accuracy"][p]["count"] for p in ("fp32", "int8"))
    return (
        f"Of {images} images the original model (FP32) labels {count(before)} right and the "
        f"quantized one (INT8) {count(after)}. INT8 {same}."
    )


def _tiles(evidence: Fields, facts: Fields) -> Iterator[Html]:
    name, validation = default_graph(evidence), evidence["validation"]
    if name is not None:
        yield _loss_tile(name, evidence["graphs"][name])
        yield _accuracy_tile(name, evidence["graphs"][name])
    origin = tag("span", "images of ", name_of(validation["origin"]))
    yield _tile("Checked on", count(validation["images"]), origin)
    source = calibration(facts)
    if source:
        origin = tag("span", "images of ", name_of(source["origin"]))
        yield _tile("Calibrated on", count(source["images"]), origin)


def _loss_tile(name: str, graph: Fields) -> Html:
    limits = drop_interval(graph)
    if limits is None:
        return _tile(f"Accuracy lost ({name})", "not known", "the images have no labels")
    value = join((points(graph["drop_points"]), tag("small", " points")))
    return _tile(f"Accuracy lost ({name})", value, f"95% interval {interval(*map(points, limits))}")


def _accuracy_tile(name: str, graph: Fields) -> Html:
    found = graph.get("accuracy")
    if found is None:
        same = graph["agreement"]
        note = f"95% interval {share_interval(same)}"
        return _tile(f"Same label as FP32 ({name})", percent(same["rate"]), note)
    note = f"FP32 {percent(found['fp32']['rate'])}; 95% interval {share_interval(found['int8'])}"
    return _tile(f"Accuracy in INT8 ({name})", percent(found["int8"]["rate"]), note)


def _tile(name: str, value: str, note: str) -> Html:
    return tag("div", tag("dt", name), tag("dd", value, class_="value"), tag("dd", note))


def _graph_lines(evidence: Fields) -> Iterator[Html]:
    for name, graph in evidence["graphs"].items():
        yield tag("li", tag("strong", graph_title(name)), " ", graph_status(graph))


def _warnings(evidence: Fields, facts: Fields) -> Iterator[str]:
    yield from _class_warnings(evidence)
    for name, graph in evidence["graphs"].items():
        yield from _graph_warnings(name, graph)
    for name, reason in not_made(evidence).items():
        yield f"No graph {graph_title(name)} could be made: {reason}."
    yield from _float_warnings(evidence)
    yield from _shipping_warnings(evidence["graphs"])
    yield from _image_warnings(evidence, facts)


def _class_warnings(evidence: Fields) -> Iterator[str]:
    if thin := thin_classes(evidence):
        few = ", ".join(f"{name} ({counted(total, 'image')})" for name, total in thin.items())
        yield (
            f"Few images carry the verdict on {few}: its figures may be chance. Check on "
            f"{THIN_CLASS_IMAGES} images or more of every class."
        )
    if weak := weak_classes_text(right_of_class(evidence)):
        yield f"{weak[0].upper()}{weak[1:]}."
    if empty := empty_classes(evidence):
        yield f"The check covers no image of {', '.join(empty)}."


def _graph_warnings(name: str, graph: Fields) -> Iterator[str]:
    layers = counted(len(rescued(graph)), "layer")
    if not graph["passed"]:
        tried = f", even with {layers} in float" if rescued(graph) else ""
        yield _refusal(name, graph, tried)
    elif rescued(graph):
        share = percent(graph["int8_share_of_macs"], 0)
        yield (
            f"{name} passed only after {layers} went back to float; {share} of the arithmetic is "
            "still INT8, so it is slower than it could be."
        )


def _refusal(name: str, graph: Fields, tried: str) -> str:
    found = [check["text"] for check in missed(graph)]
    reason = f": {'; '.join(found)}" if found else ""
    return f"{name} was refused{tried}{reason}. Its graph is not in the bundle."


def _float_warnings(evidence: Fields) -> Iterator[str]:
    if kept := evidence.get("fp16", {}).get("kept_float"):
        named = _with_magnitudes(kept)
        yield f"Beyond the range of FP16, and therefore FP32 in the graphs for GPUs: {named}."
    if sums := evidence.get("fp16", {}).get("sums_kept_float"):
        named = _with_magnitudes(sums)
        yield f"Sums beyond FP16 are within these, which are FP32 in the graphs for GPUs: {named}."
    half = evidence.get("fp16", {})
    if half and not half["passed"]:
        yield _refusal("fp16", half, "")
    tensorrt = evidence["graphs"].get("tensorrt", {})
    if tensorrt.get("passed") and tensorrt.get("rest_in") == "fp32":
        yield "What is not quantized in the graph for tensorrt stays in FP32, since FP16 failed."


def _with_magnitudes(largest: Fields) -> str:
    return ", ".join(f"{name} (up to {number(value)})" for name, value in largest.items())


def _shipping_warnings(graphs: Fields) -> Iterator[str]:
    # converters.convert ships the graph for older CPUs only beside the one for newer ones.
    passed = {name for name, graph in graphs.items() if graph["passed"]}
    if "x86" in graphs and "x86-7bit" in passed and "x86" not in passed:
        yield "x86-7bit passed, but is left out of the bundle because x86 was refused."


def _image_warnings(evidence: Fields, facts: Fields) -> Iterator[str]:
    validation, source = evidence["validation"], calibration(facts)
    if not validation["labelled"]:
        yield (
            "The validation images have no labels. This report shows whether INT8 and FP32 agree, "
            "not whether either is right."
        )
    if shared := validation.get("also_calibrated"):
        yield (
            f"Calibrated on {counted(shared, 'validation image')} too: INT8 was fitted to "
            "them, and its figures on them flatter it."
        )
    if validation["origin"] == DRAWN_ORIGIN:
        yield (
            "The check was made on drawn cells. It shows that the conversion works, and says "
            "nothing about real cells: validate on labelled images of your own analyzer."
        )
    if source and source["origin"] == DRAWN_ORIGIN:
        yield "Calibrated on drawn cells: calibrate on images of your own analyzer."
