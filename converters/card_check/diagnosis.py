"""Checks the model card against the labelled validation images.

With a wrong card a model converts and runs without errors, but labels wrongly. If another value of
an entry fits the labels clearly better, the card is refused and the entry named; if no value fits,
the model is refused. docs/diagnosis.md lists the mistakes that can be found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from converters.card_check.alternatives import other_inputs, other_order
from converters.card_check.aspect import squashed
from converters.card_check.evaluator import Infer, SpecEvaluator, choose_images
from converters.card_check.first_norm import FirstNorm, Misfit, find_misfit
from converters.card_check.fit import MIN_BALANCED_ACCURACY, Fit, is_clearly_better, measure_fit
from converters.card_check.sizes import better_sizes
from converters.card_check.suspicion import MIN_CROP_GAIN, MIN_SIZE_GAIN, Suspicion, judge
from converters.export.export_check import EXPORT_TOLERANCE
from converters.inputs.card import ModelCard
from converters.inputs.image_set import ImageSet
from converters.loading.graph_file.size_search import SIDES
from edge.backends.onnx import RUNTIME_ERRORS
from edge.errors import ConfigError, EdgeError, ModelError
from edge.preprocess import InputSpec
from edge.text.progress import OnProgress

_CANNOT_RUN: tuple[type[Exception], ...] = (EdgeError, *RUNTIME_ERRORS)
# Opens the network for other sizes than the card's; called only if the card is in doubt.
OpenAtAnySize = Callable[[], Infer]


def diagnose(
    infer: Infer,
    images: ImageSet,
    card: ModelCard,
    on_progress: OnProgress,
    norm: FirstNorm | None = None,
    open_at_any_size: OpenAtAnySize | None = None,
) -> list[str]:
    """Refuse a card or a model that the validation images contradict.

    Without labels only a wrong normalisation can be found, from the first batch norm.

    Args:
        infer: the network without the normalisation in front, see `core.open_at_any_size`.
        on_progress: called with (step, done, total).
        norm: the network's first batch norm, if it has one.
        open_at_any_size: opens the network for other sizes; None to try no other size.

    Returns:
        Warnings about what may be wrong, but need not be.

    Raises:
        ConfigError: another input or another order of classes fits clearly better.
        ModelError: the model does not recognise the images under any value of the card.
    """
    warnings = squashed(images, card.input)
    misfit = find_misfit(norm, images, card.input) if norm else None
    if not images.is_labelled:
        if misfit:
            raise ConfigError(f"{_misfitting(misfit)} Or give labelled images; they decide.")
        return warnings
    evaluator = SpecEvaluator(infer, *choose_images(images, card.classes))
    logits = evaluator.logits(card.input)
    found = measure_fit(logits, evaluator.labels)
    suspicions = _suspect_order(logits, evaluator.labels, card.classes)
    ordered = [s.fit for s in suspicions if is_clearly_better(s.fit, found)]
    if not (ordered or [found])[0].leaves_no_doubt:
        suspicions += _suspect_input(evaluator, found, card.input, on_progress)
        if open_at_any_size:
            suspicions += _suspect_size(evaluator, found, card.input, on_progress, open_at_any_size)
    doubt = judge(suspicions, found)
    if misfit and not is_clearly_better(found, evaluator.fit(misfit.other.spec)):
        raise ConfigError(_misfitting(misfit))
    if not found.is_recognised:
        raise ModelError(_unrecognised(found, card.classes))
    return [*warnings, doubt] if doubt else warnings


def _suspect_order(
    logits: NDArray[np.float32], labels: NDArray[np.intp], classes: tuple[str, ...]
) -> list[Suspicion]:
    order = other_order(logits.argmax(axis=1), labels, len(classes))
    moved = [
        f"{classes[output]} is {classes[label]}"
        for label, output in enumerate(order)
        if label != output
    ]
    if not moved:
        return []
    return [
        Suspicion(
            fits=f"another order of classes ({', '.join(moved)})",
            card="order",
            keys="classes",
            advice="Correct classes in the model card, or the names of the validation folders.",
            fit=measure_fit(logits[:, order], labels),
        )
    ]


def _suspect_input(
    evaluator: SpecEvaluator, found: Fit, spec: InputSpec, on_progress: OnProgress
) -> list[Suspicion]:
    suspicions = []
    others = other_inputs(spec)
    for number, other in enumerate(others, start=1):
        fit = evaluator.fit_if_better(other.spec, found)
        if fit is not None:
            is_crop = other.spec.crop != spec.crop
            suspicions.append(
                Suspicion(
                    fits=other.fits,
                    card=other.card,
                    keys=other.keys,
                    advice=f"Correct {other.keys} in the model card.",
                    fit=fit,
                    least_gain=MIN_CROP_GAIN if is_crop else 0.0,
                    is_scale=is_crop,
                    is_combined=other.is_combined,
                )
            )
        on_progress("checking the card", number, len(others))
    return suspicions


def _suspect_size(
    evaluator: SpecEvaluator,
    found: Fit,
    spec: InputSpec,
    on_progress: OnProgress,
    open_at_any_size: OpenAtAnySize,
) -> list[Suspicion]:
    step = "checking the card's size"
    on_progress(step, 0, len(SIDES))
    try:
        infer = open_at_any_size()
        is_same = _computes_the_same(infer, evaluator, spec)
    except _CANNOT_RUN:
        # A network that cannot run at another size says nothing about the card.
        return []
    if not is_same:
        return []
    sized = replace(evaluator, infer=infer)
    better = better_sizes(
        sized, found, spec, lambda n: on_progress(step, min(n, len(SIDES)), len(SIDES))
    )
    return [
        Suspicion(
            fits=f"input size {_sides(one.size)}",
            card=_sides((spec.height, spec.width)),
            keys="input.height and input.width",
            advice=(
                "Look up in the training script to which size it resizes, and correct "
                "input.height and input.width in the model card."
            ),
            fit=one.fit,
            least_gain=MIN_SIZE_GAIN,
            is_scale=True,
        )
        for one in better
    ]


def _sides(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _computes_the_same(infer: Infer, evaluator: SpecEvaluator, spec: InputSpec) -> bool:
    """Whether both networks give the same logits at the card's size."""
    images = evaluator.first_batch(spec)
    expected = evaluator.infer(images)
    deviation = float(np.abs(infer(images) - expected).max())
    return deviation <= EXPORT_TOLERANCE * max(float(np.ptp(expected)), 1e-6)


def _misfitting(misfit: Misfit) -> str:
    other = misfit.other
    return (
        f"the network was trained on {other.fits}, not on the card's {other.card}, as its first "
        f"batch norm says (the images are {misfit.other_distance:.2f} nats from what it saw then "
        f"instead of {misfit.card_distance:.2f}). Correct {other.keys} in the model card."
    )


def _unrecognised(found: Fit, classes: tuple[str, ...]) -> str:
    if len(set(found.predicted)) == 1:
        return (
            f"the model gives every validation image the label {classes[found.predicted[0]]}: its "
            "weights are untrained or damaged, or its input is not what the card says. Export it "
            "again, and compare the card with the training script."
        )
    return (
        f"the model does not recognise the validation images (balanced accuracy "
        f"{found.balanced_accuracy:.1%} on {len(found.labels)} images, "
        f"{MIN_BALANCED_ACCURACY:.0%} is needed), and no other channel order, mean and std, "
        "resize, crop, size or order of classes explains it. Check that weights, card and "
        "image folders belong to the same training."
    )
