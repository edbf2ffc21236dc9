"""The reference of a laboratory: what its images look like, as an artefact of the bundle.

JSON, schema `edge-reference/1`. Matrices are base64 of little-endian floats, the components of the
features in half precision; the limits were computed with the rounded numbers.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import BundleError
from edge.files.strict_json import parse_json
from edge.trust import statistics
from edge.trust.unfamiliar import Unfamiliar

SCHEMA: Final = "edge-reference/1"
# Its file in the bundle; a bundle may have none. It is read at every start, so it is small.
REFERENCE_NAME: Final = "reference/laboratory.json"
MAX_REFERENCE_BYTES: Final = 400_000
MOST_FEATURES: Final = 8192
_STATISTICS: Final = len(statistics.NAMES)
# Numbers and scales within these give scores that are finite.
_LARGEST: Final = 1e9
_LEAST_SCALE: Final = 1e-9
# Those of mean and standard deviation of a logarithm of distances.
_LARGEST_LOGS: Final = (100.0, 100.0)
# Scores end at 1000: a limit of as much would let every picture pass.
_LARGEST_LIMIT: Final = 999.0
# How far a component's length may be from 1: more than half precision moves it.
_LENGTH_OFF: Final = 0.02

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeatureSpace:
    """Mean (features,) and principal components (components, features) of the features."""

    mean: NDArray[np.float32]
    components: NDArray[np.float32]

    def residual(self, features: NDArray[np.float32]) -> float:
        """The logarithm of the distance of features (features,) from the space."""
        centred = features - self.mean
        # Not by Pythagoras: of features that lie nearly in the space, the difference of two large
        # squares would be the rounding of the components alone.
        outside = centred - (self.components @ centred) @ self.components
        return float(np.log(max(float(outside @ outside), 1e-12))) / 2


@dataclass(frozen=True, slots=True)
class GraphLimits:
    """Mean and standard deviation of a graph's residuals in the laboratory, and the score's limit.

    Each graph has its own, because rounding to INT8 moves the features a little.
    """

    residual_mean: float
    residual_sd: float
    limit: float


@dataclass(frozen=True, slots=True)
class Reference:
    """A laboratory's images in numbers.

    Attributes:
        images: how many it was fitted on.
        scale: the standard deviation of each statistic, (statistics,).
        class_means: the mean statistics of each predicted class, (classes, statistics).
        whitening: (statistics, statistics), turns scaled statistics into independent ones.
        distance_mean: of the logarithm of the statistics' distance.
        distance_sd: likewise.
        class_distance: the same two by predicted class.
        faults: codes of simulated faults of the picture, one for each direction.
        fault_directions: unit vectors (faults, statistics): where that fault moves an image to.
        features: None if the network has no features that could be found.
        graphs: by model file.
    """

    images: int
    scale: _Floats
    class_means: _Floats
    whitening: _Floats
    distance_mean: float
    distance_sd: float
    class_distance: tuple[tuple[float, float], ...]
    faults: tuple[str, ...]
    fault_directions: _Floats
    features: FeatureSpace | None
    graphs: Mapping[str, GraphLimits]

    def deviation(self, values: NDArray[np.float32], predicted: int) -> _Floats:
        """How statistics (statistics,) differ from those of their predicted class, whitened."""
        scaled = (values - self.class_means[predicted]) / self.scale
        return np.asarray(scaled @ self.whitening, np.float64)

    def limits_of(self, graph: str) -> GraphLimits:
        """The limits for images that a graph labels.

        Raises:
            BundleError: it is not in the reference.
        """
        if graph not in self.graphs:
            raise BundleError(
                f"{REFERENCE_NAME} has no limits for {graph} (it has: "
                f"{', '.join(self.graphs)}). Convert the model again."
            )
        return self.graphs[graph]

    def to_bytes(self) -> bytes:
        """The artefact."""
        space = self.features
        document = {
            "schema": SCHEMA,
            "images": self.images,
            "statistics": {
                "version": statistics.VERSION,
                "names": list(statistics.NAMES),
                "scale": _rounded(self.scale),
                "class_means": _rounded(self.class_means),
                "whitening": _rounded(self.whitening),
                "distance": _rounded([self.distance_mean, self.distance_sd]),
                "class_distance": _rounded(self.class_distance),
            },
            "faults": [
                {"reason": reason, "direction": _rounded(direction)}
                for reason, direction in zip(self.faults, self.fault_directions, strict=True)
            ],
            "features": space
            and {
                "count": len(space.mean),
                "mean": _packed(space.mean, "<f4"),
                "components": _packed(space.components, "<f2"),
            },
            "graphs": {
                path: _rounded([one.residual_mean, one.residual_sd, one.limit])
                for path, one in self.graphs.items()
            },
        }
        return (json.dumps(document, allow_nan=False) + "\n").encode()


def read_reference(content: bytes, class_count: int) -> Reference:
    """Parse the artefact.

    Raises:
        BundleError: it is damaged, of another version, or of another number of classes.
    """
    try:
        return _from_document(parse_json(content), class_count)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise BundleError(
            f"{REFERENCE_NAME} cannot be used ({type(error).__name__}: {str(error)[:200]}). "
            "Convert the model again with this version."
        ) from error


def _from_document(document: Any, class_count: int) -> Reference:
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {ascii(document['schema'])[:80]}, not {SCHEMA}")
    held = document["statistics"]
    if held["version"] != statistics.VERSION or held["names"] != list(statistics.NAMES):
        raise ValueError("its statistics are of another version")
    graphs = document["graphs"]
    if not graphs:
        raise ValueError("it has limits for no graph")
    mean, sd = _array(held["distance"], (2,), is_scale=(1,), largest=_LARGEST_LOGS)
    pairs = _array(held["class_distance"], (class_count, 2), is_scale=(1,), largest=_LARGEST_LOGS)
    faults = tuple((Unfamiliar(one["reason"]), one["direction"]) for one in document["faults"])
    return Reference(
        images=int(document["images"]),
        scale=_array(held["scale"], (_STATISTICS,), is_scale=range(_STATISTICS)),
        class_means=_array(held["class_means"], (class_count, _STATISTICS)),
        whitening=_array(held["whitening"], (_STATISTICS, _STATISTICS)),
        distance_mean=float(mean),
        distance_sd=float(sd),
        class_distance=tuple((float(a), float(b)) for a, b in pairs),
        faults=tuple(str(reason) for reason, _ in faults),
        fault_directions=_array([d for _, d in faults], (len(faults), _STATISTICS)),
        features=_feature_space(document["features"]),
        graphs={str(path): _graph_limits(found) for path, found in graphs.items()},
    )


def _feature_space(held: Any) -> FeatureSpace | None:
    if held is None:
        return None
    count = held["count"]
    if type(count) is not int or not 1 <= count <= MOST_FEATURES:
        raise ValueError(f"it has {ascii(count)[:20]} features")
    mean = _unpacked(held["mean"], "<f4")
    components = _unpacked(held["components"], "<f2")
    if mean.shape != (count,) or components.size % count or not components.size:
        raise ValueError("its components do not fit its features")
    components = components.reshape(-1, count)
    lengths = np.linalg.norm(components, axis=1)
    if len(components) > count or (np.abs(lengths - 1) > _LENGTH_OFF).any():
        raise ValueError("its components are no directions of its features")
    if np.abs(mean).max() > _LARGEST:
        raise ValueError(f"the mean of a feature is beyond {_LARGEST:.0e}")
    return FeatureSpace(mean, components)


def _graph_limits(held: Any) -> GraphLimits:
    largest = (*_LARGEST_LOGS, _LARGEST_LIMIT)
    return GraphLimits(*map(float, _array(held, (3,), is_scale=(1,), largest=largest)))


def _array(
    values: Any, shape: tuple[int, ...], *, is_scale: Any = (), largest: Any = _LARGEST
) -> _Floats:
    """Finite numbers of a shape.

    Args:
        is_scale: indices at the last axis of those that are scales.
        largest: for all, or for each index at the last axis.
    """
    found = np.array(values, np.float64).reshape(shape) if 0 in shape else np.array(values, float)
    if found.shape != shape or not (np.abs(found) <= np.asarray(largest)).all():
        raise ValueError(f"{found.shape} numbers where {shape} up to {largest} are needed")
    if len(is_scale) and not (found[..., list(is_scale)] >= _LEAST_SCALE).all():
        raise ValueError(f"a scale is below {_LEAST_SCALE}")
    return found


def _rounded(values: Any) -> Any:
    return np.vectorize(lambda v: float(f"{v:.7g}"))(np.asarray(values, np.float64)).tolist()


def _packed(values: NDArray[np.float32], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()


def _unpacked(text: str, kind: str) -> NDArray[np.float32]:
    found = np.frombuffer(base64.b64decode(text, validate=True), kind).astype(np.float32)
    if not np.isfinite(found).all():
        raise ValueError("a component is not finite")
    return found
