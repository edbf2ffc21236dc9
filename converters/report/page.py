"""The report of a conversion as one HTML page: no script, no request, readable for years."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from converters.report.facts import Fields, default_graph, graph_title, missed, rescued
from converters.report.images import Thumbnails, disagreements, share_out
from converters.report.layers import effect_table, histogram_figures, method_table, rescue_table
from converters.report.markup import EMPTY, Html, join, name_of, tag
from converters.report.model import model_facts
from converters.report.style import STYLE
from converters.report.tables import (
    accuracy_table,
    class_table,
    confusion_tables,
    gate_table,
    graphs_table,
)
from converters.report.verdict import graph_status, verdict

# Names are hostile input; should escaping ever fail, the browser still loads and runs nothing.
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class _Section:
    """One part of the page; its anchor never comes from a name in the evidence."""

    anchor: str
    title: str
    content: Html

    def render(self) -> Html:
        heading = tag("h2", self.title, id=self.anchor)
        return tag("section", heading, self.content, aria_labelledby=self.anchor)


def render_report(
    evidence: dict[str, Any], manifest_facts: dict[str, Any], thumbnails: Thumbnails
) -> bytes:
    """The page, UTF-8.

    Args:
        evidence: `evidence/evidence.json`, schema `edge-evidence/1`.
        manifest_facts: the manifest or the part of it that is known; every key is optional.
        thumbnails: a small JPEG of a validation image by its file name, None where there is none.
    """
    sections = [s for s in _sections(evidence, manifest_facts, thumbnails) if s.content]
    title = f"{manifest_facts.get('name', 'Model')} {manifest_facts.get('version', '')}".strip()
    page = tag(
        "html",
        _head(title),
        tag(
            "body",
            tag("header", tag("p", "INT8 conversion report"), tag("h1", name_of(title))),
            tag(
                "main",
                verdict(evidence, manifest_facts),
                _contents(sections),
                *(section.render() for section in sections),
            ),
            tag("footer", _footer(manifest_facts)),
        ),
        lang="en",
    )
    # A file name that is no UTF-8 must not cost the report.
    return f"<!DOCTYPE html>\n{page}\n".encode("utf-8", "replace")


def _head(title: str) -> Html:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title}: INT8 conversion report"),
        tag("style", Html(STYLE)),
    )


def _contents(sections: list[_Section]) -> Html:
    links = (tag("li", tag("a", s.title, href=f"#{s.anchor}")) for s in sections)
    return tag("nav", tag("ul", *links), aria_label="Contents")


def _sections(evidence: Fields, facts: Fields, thumbnails: Thumbnails) -> Iterator[_Section]:
    name = default_graph(evidence)
    if name is not None:
        graphs = {name: evidence["graphs"][name], **evidence["graphs"]}
        shown = share_out(len(graph["disagreements"]) for graph in graphs.values())
        yield _Section("graphs", "All graphs", graphs_table({**graphs, **_fp16(evidence)}, facts))
        yield from _default_sections(name, evidence, shown[0], thumbnails)
        others = list(zip(graphs.items(), shown, strict=True))[1:]
        for position, ((other, graph), limit) in enumerate(others, start=1):
            content = _other_graph(graph, graphs[name], limit, thumbnails)
            yield _Section(f"graph-{position}", f"Graph {graph_title(other)}", content)
    yield _Section("model", "Model and versions", model_facts(evidence, facts))


def _fp16(evidence: Fields) -> dict[str, Fields]:
    return {"fp16": evidence["fp16"]} if "fp16" in evidence else {}


def _default_sections(
    name: str, evidence: Fields, limit: int, thumbnails: Thumbnails
) -> Iterator[_Section]:
    graph = evidence["graphs"][name]
    images = disagreements(graph, limit, thumbnails)
    yield _Section("accuracy", f"Accuracy of {name}", accuracy_table(graph))
    if "per_class" in graph:
        yield _Section("classes", "Recall by class", class_table(graph))
        yield _Section("confusion", "Confusion", confusion_tables(graph, evidence["classes"]))
    yield _Section("disagreements", "Images with another label", images)
    yield _Section("gate", "Accuracy gate", gate_table(graph))
    yield _Section("rescue", "Layers put back in float", rescue_table(graph))
    yield _Section("effects", "Effect of each layer", effect_table(graph))
    yield _Section("methods", "Range methods", method_table(graph))
    yield _Section("ranges", "Ranges of the worst tensors", histogram_figures(graph))


def _other_graph(graph: Fields, default: Fields, limit: int, thumbnails: Thumbnails) -> Html:
    """What another graph has of its own: its missed limits, its layers in float, its images.

    Empty where the table of all graphs says everything.
    """
    own_layers = rescued(graph) != rescued(default)
    if not (missed(graph) or own_layers or graph["disagreements"]):
        return EMPTY
    return join(
        (
            tag("p", graph_status(graph)),
            gate_table(graph) if missed(graph) else EMPTY,
            rescue_table(graph) if own_layers else EMPTY,
            tag("h3", "Images with another label"),
            disagreements(graph, limit, thumbnails),
        )
    )


def _footer(facts: Fields) -> Html:
    return join(
        (
            tag("p", facts.get("software", "microscope-edge")),
            tag(
                "p",
                "All numbers are in evidence.json beside this page. Times and the default "
                "precision are in manifest.json: they depend on the machine, this page does not.",
            ),
        )
    )
