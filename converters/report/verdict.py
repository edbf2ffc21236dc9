"""The top of the report: what a laboratory person has to know, and what to be warned of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from converters.report.figures.facts import (
    DEFAULT_GRAPH,
    DRAWN_ORIGIN,
    Fields,
    calibration,
    default_graph,
    drop_interval,
    empty_classes,
    graph_title,
    not_made,
    rescued,
    thin_classes,
)
from converters.report.figures.numbers import count, interval, percent, points, share_interval
from converters.report.warning_texts import warnings
from edge.text.counted import counted


@dataclass(frozen=True, slots=True)
class Status:
    """A judgement in words, and the kind that gives it a sign and a colour."""

    kind: Literal["good", "warn", "bad"]
    text: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One of the large numbers. `origin` says which images it is of; it ends the note."""

    title: str
    value: str
    note: str
    unit: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence, up to four numbers, a status for each graph by its title, the warnings."""

    headline: Status
    sentence: str
    tiles: tuple[Tile, ...]
    graphs: dict[str, Status]
    warnings: tuple[str, ...]


def verdict(evidence: Fields, facts: Fields) -> Verdict:
    """What the evidence comes to."""
    return Verdict(
        headline=_headline(evidence),
        sentence=_sentence(evidence),
        tiles=tuple(_tiles(evidence, facts)),
        graphs={graph_title(n): graph_status(graph) for n, graph in evidence["graphs"].items()},
        warnings=tuple(warnings(evidence, facts)),
    )


def graph_status(graph: Fields) -> Status:
    """Passed or refused."""
    if not graph["passed"]:
        return Status("bad", "refused")
    if layers := rescued(graph):
        return Status("warn", f"passed with {counted(len(layers), 'layer')} in float")
    return Status("good", "passed")


def _headline(evidence: Fields) -> Status:
    graphs, name, failed = evidence["graphs"], default_graph(evidence), not_made(evidence)
    if DEFAULT_GRAPH in failed:
        title = graph_title(DEFAULT_GRAPH)
        return Status("bad", f"FP32 only on CPUs: INT8 could not be made for {title}")
    if name is None:
        return Status("warn", "FP32 only: no INT8 graph was made")
    if not graphs[name]["passed"]:
        return Status("bad", f"FP32 only on CPUs: INT8 was refused for {graph_title(name)}")
    refused = [other for other, graph in graphs.items() if not graph["passed"]]
    if refused:
        return Status("warn", f"INT8 passed for {name}, but was refused for {', '.join(refused)}")
    if unmade := [other for other in failed if other != "fp16"]:
        return Status(
            "warn", f"INT8 passed for {name}, but could not be made for {', '.join(unmade)}"
        )
    return _headline_of_passed(evidence)


def _headline_of_passed(evidence: Fields) -> Status:
    # A green verdict is for what was shown on labelled images of real cells.
    if not evidence["validation"]["labelled"]:
        return Status("warn", "INT8 agrees with FP32; whether either is right was not checked")
    if evidence["validation"]["origin"] == DRAWN_ORIGIN:
        return Status("warn", "INT8 passed, but on drawn cells only")
    if unsure := [*thin_classes(evidence), *empty_classes(evidence)]:
        return Status("warn", f"INT8 passed, but on too few images of {', '.join(unsure)}")
    if any(rescued(graph) for graph in evidence["graphs"].values()):
        return Status("warn", "INT8 passed, with some layers in float")
    return Status("good", "INT8 passed the accuracy check")


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


def _tiles(evidence: Fields, facts: Fields) -> Iterator[Tile]:
    name, validation = default_graph(evidence), evidence["validation"]
    if name is not None:
        yield _loss_tile(name, evidence["graphs"][name])
        yield _accuracy_tile(name, evidence["graphs"][name])
    yield _images_tile("Checked on", validation)
    if source := calibration(facts):
        yield _images_tile("Calibrated on", source)


def _loss_tile(name: str, graph: Fields) -> Tile:
    title, limits = f"Accuracy lost ({name})", drop_interval(graph)
    if limits is None:
        return Tile(title, "not known", "the images have no labels")
    note = f"95% interval {interval(*map(points, limits))}"
    return Tile(title, points(graph["drop_points"]), note, unit="points")


def _accuracy_tile(name: str, graph: Fields) -> Tile:
    found = graph.get("accuracy")
    if found is None:
        same = graph["agreement"]
        note = f"95% interval {share_interval(same)}"
        return Tile(f"Same label as FP32 ({name})", percent(same["rate"]), note)
    note = f"FP32 {percent(found['fp32']['rate'])}; 95% interval {share_interval(found['int8'])}"
    return Tile(f"Accuracy in INT8 ({name})", percent(found["int8"]["rate"]), note)


def _images_tile(title: str, images: Fields) -> Tile:
    return Tile(title, count(images["images"]), "images of", origin=images["origin"])
