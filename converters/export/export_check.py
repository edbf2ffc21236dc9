"""Checks that the exported graph computes the same logits as the source model."""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.inputs.card import ModelCard
from converters.inputs.image_set import ImageSet, evenly, image_batches
from converters.loading.canonical.heads import HEADS
from converters.loading.checkpoint import SourceModel
from edge.backends.onnx import open_onnx
from edge.errors import ModelError

# Largest accepted deviation, as a share of the logits' range.
EXPORT_TOLERANCE: Final = 1e-3
EXPORT_CHECK_IMAGES: Final = 8


def check_export(
    source: SourceModel, exported: onnx.ModelProto, card: ModelCard, batch: NDArray[np.uint8]
) -> None:
    """Check that the exported graph gives the source's logits on single images and in a batch.

    Raises:
        ModelError: it does not, or the number of classes is not the card's.
    """
    check_logits(source, card, len(batch))
    expected = source.sample_logits
    session = open_onnx(exported.SerializeToString(), "fp32")
    range_ = max(float(np.ptp(expected)), 1e-6)
    head = HEADS.get(source.facts.get("removed_head", ""))
    alone = np.concatenate([session.infer(batch[i : i + 1]).logits for i in range(len(batch))])
    for what, logits in (("one image", alone), ("a batch", session.infer(batch).logits)):
        found = head(logits) if head else logits
        deviation = float(np.abs(found - expected).max()) / range_
        if not deviation <= EXPORT_TOLERANCE:
            raise ModelError(
                f"the exported model differs from {source.path.name} by {deviation:.2%} of the "
                f"logits' range on {what}. Export to ONNX yourself and convert that file."
            )


def check_logits(source: SourceModel, card: ModelCard, count: int) -> None:
    """Check that the source gives `count` rows of finite logits, one per class of the card.

    Raises:
        ModelError: it does not.
    """
    expected = source.sample_logits
    if expected.shape != (count, len(card.classes)):
        raise ModelError(
            f"{source.path.name} gives outputs of shape {expected.shape} for {count} images; "
            f"the card's {len(card.classes)} classes need ({count}, {len(card.classes)})."
        )
    if not np.isfinite(expected).all():
        raise ModelError(
            f"{source.path.name} gives NaN or infinite logits on validation images. Its weights "
            "are damaged; export the trained ones again."
        )
    has_head = "removed_head" in source.facts
    if not has_head and _are_shares(expected):
        raise ModelError(
            f"{source.path.name} gives probabilities, not logits: each row sums to "
            f"{expected[0].sum():.3g}. Export it without its last softmax."
        )
    if not has_head and (expected >= 0).all() and (expected <= 1).all():
        raise ModelError(
            f"{source.path.name} gives only values from 0 to 1, as a sigmoid does, not logits. "
            "Export it without its last sigmoid."
        )


def _are_shares(outputs: NDArray[np.float32]) -> bool:
    """Whether each row (n, classes) is non-negative and sums to 1, or all to the same number."""
    totals = outputs.sum(axis=1)
    if not (outputs >= 0).all():
        return False
    # If all rows are alike, equal sums mean nothing.
    differ = float(np.ptp(outputs, axis=0).max()) > 0.01 * float(totals.max())
    return np.allclose(totals, 1.0, atol=1e-3) or (
        differ and np.allclose(totals, totals[0], rtol=1e-3)
    )


def sample_images(images: ImageSet, card: ModelCard) -> NDArray[np.uint8]:
    """The preprocessed images on which source and export are compared."""
    few = evenly(images, EXPORT_CHECK_IMAGES)
    (batch,) = image_batches(few, card.input, EXPORT_CHECK_IMAGES)
    return batch
