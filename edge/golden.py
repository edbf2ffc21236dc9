"""Golden images: known images that a session must label correctly before it labels patients'."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from edge.bundle import Bundle
from edge.errors import BackendError, TransientError
from edge.image_files.limits import ImageLimits
from edge.image_files.read import ImageFile
from edge.labeller import Labeller, Outcome
from edge.manifest import GoldenImage
from edge.session import InferenceSession
from edge.status import Status
from edge.trust.familiarity import FamiliarityCheck
from edge.trust.reference import REFERENCE_NAME, read_reference

# How far a logit may differ, as a share of the golden image's logit range. INT8 kernels of
# different CPUs round and saturate differently; a wrong network is off by far more.
TOLERANCE: Final = {"fp32": 0.01, "fp16": 0.05, "int8": 0.15}
# How far a familiarity score may differ, in standard deviations of the laboratory's scores, beside
# half of a larger score. Wrong features give scores beyond ten.
SCORE_TOLERANCE: Final = 2.0


def open_labeller(
    bundle: Bundle,
    session: InferenceSession,
    limits: ImageLimits | None = None,
    *,
    labels_unfamiliar: bool = False,
) -> Labeller:
    """Check the session on the golden images and build a labeller with it.

    Args:
        labels_unfamiliar: whether an image that is not of the laboratory keeps its label.

    Raises:
        BackendError: a label or a logit differs; the session is closed.
        BundleError: the record of the session's engine is damaged; the session is closed.
    """
    check_session(bundle, session)
    return _labeller(bundle, session, limits, labels_unfamiliar=labels_unfamiliar)


def golden_labeller(bundle: Bundle, session: InferenceSession) -> Labeller:
    """A labeller for golden images. It has no site's limits: those are for analyzer images."""
    return _labeller(bundle, session, None)


def check_session(bundle: Bundle, session: InferenceSession) -> None:
    """Have a session label every golden image, one by one and all at once.

    Raises:
        BackendError: a label or a logit differs from what the converter saw; the session is
            closed.
    """
    try:
        check_golden(bundle, golden_labeller(bundle, session))
    except BaseException:
        session.close()
        raise


def _labeller(
    bundle: Bundle,
    session: InferenceSession,
    limits: ImageLimits | None,
    *,
    labels_unfamiliar: bool = False,
) -> Labeller:
    return Labeller(
        session,
        classes=bundle.classes,
        spec=bundle.input,
        unidentified_below=bundle.unidentified_below,
        limits=limits,
        temperature=_temperature(bundle, session),
        familiarity=_familiarity_check(bundle, session, keeps_label=labels_unfamiliar),
    )


def _temperature(bundle: Bundle, session: InferenceSession) -> float:
    """The temperature of the session's graph, also where it runs a plan built from that graph."""
    if not bundle.temperatures:
        return 1.0
    return bundle.temperatures.get(bundle.graph_of(session), 1.0)


def _familiarity_check(
    bundle: Bundle, session: InferenceSession, *, keeps_label: bool
) -> FamiliarityCheck | None:
    """The check by the bundle's reference of a laboratory; None if it has none."""
    if REFERENCE_NAME not in bundle.in_memory:
        return None
    reference = read_reference(bundle.read(REFERENCE_NAME), len(bundle.classes))
    return FamiliarityCheck(reference, bundle.graph_of(session), keeps_label=keeps_label)


def check_golden(bundle: Bundle, labeller: Labeller) -> None:
    """Label every golden image alone, then all in one batch.

    Both are tried because back ends compute batches with other kernels than single images.

    Raises:
        BackendError: a label or a logit differs from what the converter saw.
    """
    # Golden images come from memory: the folder may have been replaced since it was loaded.
    files = [ImageFile(Path(g.path), bundle.read(g.path), None) for g in bundle.golden]
    alone = [labeller.label(file) for file in files]
    for outcomes in (alone, labeller.label_batch(files)):
        for golden, outcome in zip(bundle.golden, outcomes, strict=True):
            if isinstance(outcome, TransientError):
                raise BackendError(f"golden image {golden.path} cannot be read: {outcome}")
            compare_golden(bundle, golden, outcome, labeller.session)


def compare_golden(
    bundle: Bundle, golden: GoldenImage, outcome: Outcome, session: InferenceSession
) -> None:
    """Compare one golden image's outcome with what the converter saw.

    Raises:
        BackendError: label or logits differ.
    """
    backend, precision = session.backend, session.precision
    expected = golden.expected(backend, precision)
    if outcome.status is Status.REJECTED or outcome.logits is None:
        raise BackendError(f"golden image {golden.path} was rejected: {outcome.message}.")
    deviation = float(np.abs(outcome.logits - expected).max() / np.ptp(expected))
    if outcome.logits.argmax() != expected.argmax() or deviation > TOLERANCE[precision]:
        raise BackendError(
            f"golden image {golden.path} gave {bundle.classes[outcome.logits.argmax()]}, "
            f"expected {bundle.classes[expected.argmax()]} (logits off by {deviation:.1%} of "
            f"their range, {TOLERANCE[precision]:.0%} allowed) with {precision} on {backend}. "
            "Do not use this machine with this bundle; convert the model again here."
        )
    _compare_score(bundle, golden, outcome, session)


def _compare_score(
    bundle: Bundle, golden: GoldenImage, outcome: Outcome, session: InferenceSession
) -> None:
    """Compare the familiarity of a golden image: wrong features would make all images strange."""
    expected, found = golden.scores.get(bundle.graph_of(session)), outcome.familiarity
    if expected is None or found is None:
        return
    if not abs(found.score - expected) <= SCORE_TOLERANCE + abs(expected) / 2:
        raise BackendError(
            f"golden image {golden.path} has a familiarity score of {found.score:.1f}, expected "
            f"{expected:.1f}, with {session.precision} on {session.backend}: the network's "
            "features are wrong. Do not use this machine with this bundle; convert it again here."
        )
