"""Turns logits into a label, or into "not identified"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.errors import BackendError, DeviceError


@dataclass(frozen=True, slots=True)
class Decision:
    """The most probable class. `is_identified` is False below the bundle's `unidentified_below`.

    `confidence` and `probabilities` are after the graph's temperature.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]
    is_identified: bool


def decide(
    logits: NDArray[np.float32],
    classes: tuple[str, ...],
    unidentified_below: float,
    *,
    temperature: float = 1.0,
) -> Decision:
    """Turn the logits of one image, shape (classes,), into a decision.

    Args:
        temperature: the logits are divided by it, which changes the confidence and no label
            (Guo et al., ICML 2017).

    Raises:
        DeviceError: a logit is not finite, so the result must not become a label.
        BackendError: the network has another number of classes.
    """
    if logits.shape != (len(classes),):
        raise BackendError(
            f"the network gave logits of shape {logits.shape}, {len(classes)} classes need "
            f"({len(classes)},). Convert the model again with the right classes."
        )
    if not np.isfinite(logits).all():
        raise DeviceError("the network gave logits that are not finite. Restart or change device.")
    probabilities = softmax(logits, temperature)
    best = int(probabilities.argmax())
    confidence = float(probabilities[best])
    named = {name: float(p) for name, p in zip(classes, probabilities, strict=True)}
    return Decision(classes[best], confidence, named, confidence >= unidentified_below)


def softmax(
    logits: NDArray[np.float32], temperature: float | NDArray[np.float64] = 1.0
) -> NDArray[np.float64]:
    """Probabilities along the last axis of logits / temperature, computed in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted / temperature)
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float64)
