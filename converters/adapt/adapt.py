"""One adaptation, from a bundle and labelled cells to a new bundle. `adapt` lists its steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.accuracy.comparison import Evidence, Validation
from converters.accuracy.gate import Check, Gate, missed_limits
from converters.accuracy.statistics import Estimate, balanced_accuracy, bootstrap
from converters.accuracy.temperature import Temperature, choose_temperature
from converters.adapt.cells import LabelledCells, load_cells
from converters.adapt.choice import choose_recipe, out_of_fold
from converters.adapt.curve import Curve, learning_curve
from converters.adapt.head import Labels, Recipe, fit_views
from converters.adapt.layer import head_of, with_head
from converters.adapt.parent import evidence_of_parent, require_version
from converters.adapt.request import AdaptRequest, adapted_version
from converters.adapt.seen import graphs_of, look, served_here
from converters.familiarity.choose import images_of_laboratory
from converters.familiarity.graphs import open_graphs
from converters.familiarity.laboratory import Laboratory
from converters.familiarity.learn import learn_laboratory
from converters.features.output import has_features, with_features
from converters.inputs.card import ModelCard
from converters.int8.graphs import FP32, GRAPHS
from converters.int8.target_session import open_graph
from converters.search.judging import Judging
from edge.bundle import Bundle, load_bundle
from edge.errors import AccuracyGateError
from edge.text.progress import OnProgress

# By so many images a graph may differ from FP32 where the gate allows less than one of them.
_BY_CHANCE: Final = 2


@dataclass(frozen=True, slots=True)
class AdaptedGraph:
    """One graph with its new layer, judged on the images that were kept back."""

    model: onnx.ModelProto
    evidence: Evidence
    checks: list[Check]

    @property
    def holds(self) -> bool:
        """Whether every limit of the gate holds."""
        return not missed_limits(self.checks)


@dataclass(frozen=True, slots=True)
class Adapted:
    """A finished adaptation.

    Attributes:
        graphs: by name, also those that the gate refused; the FP32 graph is `fp32`.
        served: the name of the graph that a CPU runs, whose features the layer was fitted to.
        before: share of right labels of the parent, the mean over the classes, on images kept back.
        after: of the new bundle, on the same images.
        crossed_before: of the parent, on all images.
        crossed: of heads that were fitted without the image that they label, on all images.
    """

    request: AdaptRequest
    parent: Bundle
    parents_evidence: dict[str, Any]
    cells: LabelledCells
    recipe: Recipe
    fp32: onnx.ModelProto
    judging: Judging
    graphs: dict[str, AdaptedGraph]
    temperature: Temperature
    served: str
    feature_count: int
    before: Estimate
    after: Estimate
    crossed_before: Estimate
    crossed: Estimate
    curve: Curve
    laboratory: Laboratory

    def held(self) -> dict[str, onnx.ModelProto]:
        """The graphs for the bundle, by name."""
        return {FP32.name: self.fp32, **_models(self.graphs)}


def adapt(request: AdaptRequest, on_progress: OnProgress) -> Adapted:
    """Fit, judge and compare. Nothing is written.

    Raises:
        EdgeError: the bundle or the images cannot be used.
        AccuracyGateError: the new layer is not better than the parent's.
    """
    parent = load_bundle(request.parent)
    require_version(adapted_version(parent.version, request.site))
    evidence, graphs = evidence_of_parent(parent), graphs_of(parent)
    cells = load_cells(request.labelled, parent.classes, on_progress)
    models = {
        name: model if has_features(model) else with_features(model).model
        for name, model in graphs.items()
    }
    served = served_here(models)
    on_count = partial(on_progress, f"features of {GRAPHS[served].path}")
    session = open_graph(GRAPHS[served], models[served])
    seen = look(session, cells.images, parent.input, on_count)
    old, fit = head_of(models[FP32.name]), ~cells.kept_back
    features, labels = seen.features, cells.labels
    recipe = choose_recipe(
        features[fit], labels[fit], old, partial(on_progress, "choosing the fit")
    )
    head = fit_views(features[fit], labels[fit], old, recipe)
    after = _balanced(head.logits(features[cells.kept_back, 0]), labels[cells.kept_back])
    before = _balanced(seen.logits[cells.kept_back], labels[cells.kept_back])
    _require_better(before, after, cells)
    crossed = out_of_fold(features, labels, old, recipe)
    fp32 = with_head(models[FP32.name], head)
    judging = _judging(request, parent, cells, fp32, on_progress)
    judged = {
        name: _judged(name, with_head(model, head), judging)
        for name, model in models.items()
        if name != FP32.name
    }
    curve = learning_curve(
        features, labels, old, recipe, cells.classes, partial(on_progress, "learning curve")
    )
    return Adapted(
        request=request,
        parent=parent,
        parents_evidence=evidence,
        cells=cells,
        recipe=recipe,
        fp32=fp32,
        judging=judging,
        graphs=judged,
        temperature=choose_temperature(crossed, labels),
        served=served,
        feature_count=features.shape[2],
        before=before,
        after=after,
        crossed_before=_balanced(seen.logits, labels),
        crossed=_balanced(crossed, labels),
        curve=curve,
        laboratory=_laboratory(parent, cells, {FP32.name: fp32, **_models(judged)}, on_progress),
    )


def _models(graphs: dict[str, AdaptedGraph]) -> dict[str, onnx.ModelProto]:
    return {name: one.model for name, one in graphs.items() if one.holds}


def _balanced(logits: NDArray[np.float32], labels: Labels) -> Estimate:
    """Mean recall over the classes that have images."""
    right = np.asarray(logits.argmax(1) == labels, np.bool_)
    return bootstrap(len(labels), lambda chosen: balanced_accuracy(labels[chosen], right[chosen]))


def _require_better(before: Estimate, after: Estimate, cells: LabelledCells) -> None:
    if after.value > before.value:
        return
    raise AccuracyGateError(
        f"the new layer is not better: {after.value:.1%} on {int(cells.kept_back.sum())} images of "
        f"{cells.images.origin} that were kept back (mean over the classes), the bundle as it is "
        f"{before.value:.1%}. Nothing was written. Use the bundle as it is, or label more images."
    )


def _judging(
    request: AdaptRequest,
    parent: Bundle,
    cells: LabelledCells,
    fp32: onnx.ModelProto,
    on_progress: OnProgress,
) -> Judging:
    card = ModelCard(
        name=parent.name,
        version=adapted_version(parent.version, request.site),
        classes=parent.classes,
        input=parent.input,
        unidentified_below=parent.unidentified_below,
        architecture=None,
        calibration=None,
        validation=None,
        licence=None,
        source=None,
    )
    validation = Validation.from_images(cells.kept_back_images(), parent.classes)
    return Judging(fp32, card, validation, few_images_gate(request.gate, validation), on_progress)


def few_images_gate(gate: Gate, validation: Validation) -> Gate:
    """The gate with limits that are not finer than two images.

    A part kept back has some ten images of a class. Where one image is two points, a limit of
    half a point would refuse a graph for a single cell on which it and FP32 differ.
    """
    counts = [count for count in validation.class_counts().values() if count]
    images = len(validation.paths)
    share = _BY_CHANCE / images
    of_balanced = 100 * _BY_CHANCE / (min(counts) * len(counts))
    return replace(
        gate,
        max_drop_points=max(gate.max_drop_points, 100 * share),
        max_balanced_drop_points=max(gate.max_balanced_drop_points, of_balanced),
        max_class_drop_points=max(gate.max_class_drop_points, 100 * _BY_CHANCE / min(counts)),
        min_agreement=min(gate.min_agreement, (images - _BY_CHANCE) / images),
        max_calibration_error_rise=max(gate.max_calibration_error_rise, 2 * share),
    )


def _judged(name: str, model: onnx.ModelProto, judging: Judging) -> AdaptedGraph:
    kind = GRAPHS[name]
    evidence, checks = judging.judge(open_graph(kind, model), kind.target)
    return AdaptedGraph(model, evidence, checks)


def _laboratory(
    parent: Bundle,
    cells: LabelledCells,
    models: dict[str, onnx.ModelProto],
    on_progress: OnProgress,
) -> Laboratory:
    """The reference of the new laboratory; the parent's is of another one."""
    sessions = open_graphs(models, served_here(models))
    images = images_of_laboratory([cells.images])
    return learn_laboratory(sessions, images, parent.input, len(parent.classes), on_progress)
