"""Gives all graphs of a bundle their features, and checks that no logit changes by that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.features.last_layer import NoFeaturesError
from converters.features.output import with_features
from converters.fp16.emulation import emulate_fp16
from converters.int8.graphs import FP16, GRAPHS, GraphKind
from converters.int8.target_session import open_as_target
from edge.backends.onnx import OnnxSession, open_onnx
from edge.command.run import place_of


@dataclass(frozen=True, slots=True)
class GivenFeatures:
    """The graphs by name, with their features or, where one has none, all without.

    Attributes:
        count: features of an image; None where there are none.
        reason: why there are none; empty where there are.
    """

    models: dict[str, onnx.ModelProto]
    count: int | None
    reason: str = ""

    def facts(self) -> dict[str, Any]:
        """The entry `features` of the manifest."""
        return {"absent": self.reason} if self.count is None else {"count": self.count}

    def warnings(self) -> list[str]:
        """A line where there are none."""
        if self.count is not None:
            return []
        line = (
            f"no features: {self.reason}. Images of another laboratory are then told by statistics "
            "of the picture alone, and the bundle cannot be adapted with --adapt"
        )
        return [line]


def give_features(
    models: Mapping[str, onnx.ModelProto], images: NDArray[np.uint8]
) -> GivenFeatures:
    """Add the output `features` to every graph, as the last change before they are written.

    Each graph has then computed `images` with and without it, alone and in a batch, and all logits
    were equal in every bit: what the gate has judged holds for what is written.

    Args:
        models: the graphs by name, as in `converters.int8.graphs`.
        images: uint8 (n, height, width, 3).
    """
    try:
        given = {name: with_features(model) for name, model in models.items()}
        count = _one_count({name: one.count for name, one in given.items()})
        for name, one in given.items():
            _require_equal_logits(GRAPHS[name], models[name], one.model, images)
    except NoFeaturesError as error:
        return GivenFeatures(dict(models), None, str(error))
    # Features are an addition: no defect in this search, and no operator on which onnx or ONNX
    # Runtime fails with one of its dozens of exceptions, may cost a conversion of hours.
    except Exception as error:  # noqa: BLE001 - see above; the reason is told
        text = " ".join(str(error).split())[:200]
        reason = f"{type(error).__name__} at {place_of(error)}: {text}"
        return GivenFeatures(dict(models), None, reason)
    return GivenFeatures({name: one.model for name, one in given.items()}, count)


def _one_count(counts: Mapping[str, int]) -> int:
    first, *others = set(counts.values())
    if others:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise NoFeaturesError(f"the graphs differ in the number of their features: {told}")
    return first


def _require_equal_logits(
    kind: GraphKind, plain: onnx.ModelProto, extended: onnx.ModelProto, images: NDArray[np.uint8]
) -> None:
    for old, new in zip(_sessions(kind, plain), _sessions(kind, extended), strict=True):
        for batch in (images, images[:1]):
            if not np.array_equal(old.infer(batch).logits, new.infer(batch).logits):
                raise NoFeaturesError(
                    f"with its features as an output, graph {kind.name} gives other logits"
                )


def _sessions(kind: GraphKind, model: onnx.ModelProto) -> Iterator[OnnxSession]:
    """The ways in which the converter or a workstation runs a graph on this machine."""
    if kind == FP16:
        yield open_onnx(emulate_fp16(model).SerializeToString(), kind.precision)
        return
    if kind.placement is not None:
        yield open_as_target(model, kind.placement)
    if kind.placement is None or not kind.placement.symmetric:
        yield open_onnx(model.SerializeToString(), kind.precision)
