"""The interface of every inference back end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

# The names of the outputs that graphs and engines have; older ones have no features.
LOGITS: Final = "logits"
FEATURES: Final = "features"


@dataclass(frozen=True, slots=True)
class Inferred:
    """What the network computes from a batch, one row an image.

    Attributes:
        logits: (batch, classes).
        features: (batch, count), the input of the network's last linear layer; None where the
            graph does not give it.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32] | None = None

    def row(self, number: int) -> Inferred:
        """What belongs to one image of the batch, without the batch axis."""
        features = None if self.features is None else self.features[number]
        return Inferred(self.logits[number], features)


class InferenceSession(Protocol):
    """An opened network.

    Lifecycle: opened by its back end's `open_*` function, used by any number of threads, closed
    once. After `close`, `infer` must not be called.
    """

    @property
    def backend(self) -> str:
        """Name for sidecars, for example `onnxruntime-cpu`."""

    @property
    def precision(self) -> str:
        """`fp32`, `fp16` or `int8`."""

    @property
    def graph(self) -> str:
        """The bundle's file that it runs, such as `model.int8.onnx`; empty outside a bundle.

        For an engine: the plan in the bundle, or the graph from which the plan was built here.
        """

    @property
    def max_batch(self) -> int:
        """The most images one call of `infer` takes."""

    def infer(self, images: NDArray[np.uint8]) -> Inferred:
        """Logits and features of a batch.

        Args:
            images: uint8, shape (batch, height, width, 3), from `edge.preprocess.preprocess`.

        Raises:
            BackendError: the device or the library failed; the session can no longer be used.
        """

    def close(self) -> None:
        """Free the device. Calling it twice does nothing."""


class Binding(Protocol):
    """A batch whose input and output lie where the engine wants them: its run copies nothing."""

    def run(self) -> None:
        """Infer, and wait for the end.

        Raises:
            BackendError: the device or the library failed.
        """

    def close(self) -> None:
        """Free what only the binding holds; before the session is closed."""


@runtime_checkable
class BindingSession(Protocol):
    """A session that can run its engine alone, for measurements."""

    def bind(self, images: NDArray[np.uint8]) -> Binding:
        """A binding of these images, for one thread at a time.

        Raises:
            BackendError: the device or the library failed.
        """
