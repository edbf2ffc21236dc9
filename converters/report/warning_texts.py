"""What a reader of the report has to be warned of."""

from __future__ import annotations

from collections.abc import Iterator

from converters.accuracy.validation_size import THIN_CLASS_IMAGES, weak_classes_text
from converters.report.confidence import overconfident
from converters.report.figures.facts import (
    DRAWN_ORIGIN,
    Fields,
    calibration,
    empty_classes,
    graph_title,
    missed,
    not_made,
    rescued,
    right_of_class,
    thin_classes,
)
from converters.report.figures.numbers import number, percent
from converters.report.laboratory import laboratory_warnings
from edge.text.counted import counted


def warnings(evidence: Fields, facts: Fields) -> Iterator[str]:
    """One sentence or two for each warning, the gravest first."""
    yield from _class_warnings(evidence)
    for name, graph in evidence["graphs"].items():
        yield from _graph_warnings(name, graph)
    for name, reason in not_made(evidence).items():
        yield f"No graph {graph_title(name)} could be made: {reason}."
    yield from _float_warnings(evidence)
    yield from _shipping_warnings(evidence["graphs"])
    yield from overconfident(evidence)
    yield from laboratory_warnings(evidence)
    yield from _image_warnings(evidence, facts)
    yield from _feature_warnings(facts)


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


def _feature_warnings(facts: Fields) -> Iterator[str]:
    if reason := (facts.get("features") or {}).get("absent"):
        yield (
            f"The network gives no features: {reason}. Images of another laboratory are told by "
            "statistics of the picture alone, and the bundle cannot be adapted with --adapt."
        )
