"""What an adaptation came to, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from converters.accuracy.gate import missed_limits
from converters.accuracy.statistics import Estimate
from converters.adapt.adapt import Adapted
from converters.adapt.request import adapted_version
from converters.int8.graphs import GRAPHS
from edge.manifest import ROLE_ENGINE


def describe_adapted(adapted: Adapted) -> str:
    """Several lines: what was written, what it is worth, and warnings."""
    return "\n".join([*_results(adapted), *(f"warning: {line}" for line in _warnings(adapted))])


def _results(adapted: Adapted) -> Iterator[str]:
    parent, cells = adapted.parent, adapted.cells
    version = adapted_version(parent.version, adapted.request.site)
    yield f"wrote {adapted.request.target}: {parent.name} {version}, from {parent.version}"
    kept = int(cells.kept_back.sum())
    yield f"{len(cells.labels)} images of {cells.images.origin}; right, mean over the classes:"
    yield f"  {kept} images kept back   {_share(adapted.before)} -> {_share(adapted.after)}"
    yield f"  cross-validated, all  {_share(adapted.crossed_before)} -> {_share(adapted.crossed)}"
    points = ", ".join(f"{p.of_class}: {p.accuracy:.1%}" for p in adapted.curve.points)
    yield f"  with so many images of each class  {points}"
    if adapted.curve.expectation is not None:
        yield f"  {adapted.curve.expectation.text()}"


def _warnings(adapted: Adapted) -> Iterator[str]:
    yield from adapted.cells.warnings()
    for name, graph in adapted.graphs.items():
        if not graph.holds:
            text = missed_limits(graph.checks)[0].text
            yield f"{GRAPHS[name].path} is left out: {text}"
    if reason := adapted.laboratory.absent:
        yield f"no reference of the laboratory: {reason}. Unfamiliar images are not noticed"
    if not adapted.temperature.is_fitted:
        yield f"confidences are not calibrated: {adapted.temperature.reason}"
    if any(artefact.role == ROLE_ENGINE for artefact in adapted.parent.artefacts):
        yield (
            "the engines of the parent are left out, as they compute its last layer. Build them "
            f"again: edge-convert {adapted.request.target} --engine tensorrt"
        )


def _share(estimate: Estimate) -> str:
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%})"
