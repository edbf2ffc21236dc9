"""The report of a conversion as one HTML page: no script, no request, readable for years.

Python gives the values in words and numbers; `templates/report.html.j2` makes the page of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from converters.report.accuracy import (
    Accuracy,
    ClassRow,
    Confusion,
    accuracy,
    class_rows,
    confusion,
)
from converters.report.confidence import Confidence, confidence
from converters.report.figures.facts import Fields, default_graph, graph_title, missed, rescued
from converters.report.graphs import Gate, GraphRow, gate, graph_rows
from converters.report.images import Disagreements, Thumbnails, disagreements, share_out
from converters.report.laboratory import Laboratory, laboratory
from converters.report.layers import (
    Effects,
    Method,
    RescueStep,
    Tensor,
    effects,
    methods,
    rescue_steps,
    worst_tensors,
)
from converters.report.model import Model, model
from converters.report.verdict import Status, Verdict, graph_status, verdict


@dataclass(frozen=True, slots=True)
class FullGraph:
    """The graph that is shown in full. What is empty or None has no section."""

    name: str
    accuracy: Accuracy
    classes: tuple[ClassRow, ...]
    confusion: Confusion | None
    disagreements: Disagreements
    gate: Gate
    rescue_steps: tuple[RescueStep, ...]
    effects: Effects | None
    methods: tuple[Method, ...]
    tensors: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class OtherGraph:
    """What another graph has of its own. `gate` is None where every limit holds."""

    title: str
    status: Status
    gate: Gate | None
    rescue_steps: tuple[RescueStep, ...]
    disagreements: Disagreements


@dataclass(frozen=True, slots=True)
class Graphs:
    """All graphs side by side, one in full, and what others have of their own."""

    rows: tuple[GraphRow, ...]
    full: FullGraph
    others: tuple[OtherGraph, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All that the page shows.

    `graphs` is None where nothing was quantized, `confidence` where the images have no labels, both
    this and `laboratory` in evidence of older versions.
    """

    title: str
    software: str
    verdict: Verdict
    graphs: Graphs | None
    confidence: Confidence | None
    laboratory: Laboratory | None
    model: Model


def render_report(
    evidence: dict[str, Any],
    manifest_facts: dict[str, Any],
    thumbnails: Thumbnails,
    of_laboratory: Thumbnails = lambda _: None,
) -> bytes:
    """The page, UTF-8.

    Args:
        evidence: `evidence/evidence.json`, schema `edge-evidence/1`.
        manifest_facts: the manifest or the part of it that is known; every key is optional.
        thumbnails: a small JPEG of a validation image by its file name, None where there is none.
        of_laboratory: the same for the images that the laboratory's reference was learned from,
            which may have the names of others.
    """
    template = templates().get_template("report.html.j2")
    page = template.render(report=_report(evidence, manifest_facts, thumbnails, of_laboratory))
    # A file name that is no UTF-8 must not cost the report.
    return page.encode("utf-8", "replace")


@cache
def templates() -> Environment:
    """The templates: every value is escaped, and a value that does not exist is an error."""
    return Environment(
        loader=PackageLoader("converters.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _report(
    evidence: Fields, facts: Fields, thumbnails: Thumbnails, of_laboratory: Thumbnails
) -> Report:
    name = default_graph(evidence)
    return Report(
        title=f"{facts.get('name', 'Model')} {facts.get('version', '')}".strip(),
        software=facts.get("software", "microscope-edge"),
        verdict=verdict(evidence, facts),
        graphs=None if name is None else _graphs(name, evidence, facts, thumbnails),
        confidence=confidence(evidence),
        laboratory=laboratory(evidence, of_laboratory),
        model=model(evidence, facts),
    )


def _graphs(default: str, evidence: Fields, facts: Fields, thumbnails: Thumbnails) -> Graphs:
    graphs = {default: evidence["graphs"][default], **evidence["graphs"]}
    fp16 = {"fp16": evidence["fp16"]} if "fp16" in evidence else {}
    images = _images(graphs, thumbnails)
    others = tuple(
        _other_graph(name, graph, graphs[default], images[name])
        for name, graph in graphs.items()
        if name != default and _has_its_own(graph, graphs[default])
    )
    full = _full_graph(default, graphs[default], evidence["classes"], images[default])
    return Graphs(graph_rows({**graphs, **fp16}, facts), full, others)


def _images(graphs: dict[str, Fields], thumbnails: Thumbnails) -> dict[str, Disagreements]:
    limits = share_out(len(graph["disagreements"]) for graph in graphs.values())
    return {
        name: disagreements(graph, limit, thumbnails)
        for (name, graph), limit in zip(graphs.items(), limits, strict=True)
    }


def _full_graph(name: str, graph: Fields, classes: list[str], images: Disagreements) -> FullGraph:
    return FullGraph(
        name=name,
        accuracy=accuracy(graph),
        classes=class_rows(graph),
        confusion=confusion(graph, classes),
        disagreements=images,
        gate=gate(graph),
        rescue_steps=rescue_steps(graph),
        effects=effects(graph),
        methods=methods(graph),
        tensors=worst_tensors(graph),
    )


def _has_its_own(graph: Fields, default: Fields) -> bool:
    """Whether there is more to say of a graph than the table of all graphs does."""
    return bool(missed(graph) or graph["disagreements"] or rescued(graph) != rescued(default))


def _other_graph(name: str, graph: Fields, default: Fields, images: Disagreements) -> OtherGraph:
    return OtherGraph(
        title=graph_title(name),
        status=graph_status(graph),
        gate=gate(graph) if missed(graph) else None,
        rescue_steps=rescue_steps(graph) if rescued(graph) != rescued(default) else (),
        disagreements=images,
    )
