"""Does the model card say how the model was trained? The labelled validation images know.

A model behind a wrong card converts, runs and labels wrongly. If the images are recognised clearly
better under another entry of the card, that entry is named; if they are recognised under none, the
model is refused. docs/diagnosis.md says which mistakes show and which do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from converters.card import ModelCard
from converters.diagnosis_alternatives import other_inputs, other_order
from converters.diagnosis_fit import MIN_BALANCED_ACCURACY, Fit, is_clearly_better, measure_fit
from converters.diagnosis_norm import FirstNorm, Misfit, find_misfit
from converters.image_set import ImageSet, image_batches
from converters.loading.samples import normalise
from edge.errors import ConfigError, ModelError
from edge.preprocess import InputSpec
from edge.progress import OnProgress

# Enough to see a gain of three points with four standard errors on the reference model.
MAX_IMAGES: Final = 400
# After so many images an input that fits worse is not tried on the others.
TRIAL_IMAGES: Final = 96
BATCH_SIZE: Final = 16

# Normalised float32 images (batch, 3, h, w) to logits (batch, classes).
Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What the images fit in place of the card's entry, how well, and what to do."""

    fits: str
    card: str
    advice: str
    fit: Fit


@dataclass(frozen=True, slots=True)
class Trial:
    """The network behind its normalisation, and labelled images to try it on, classes in turn."""

    infer: Infer
    images: ImageSet
    labels: NDArray[np.intp]

    def logits(self, spec: InputSpec) -> NDArray[np.float32]:
        """Logits (images, classes) under a spec."""
        return np.concatenate(list(self._batches(spec)))

    def fit(self, spec: InputSpec) -> Fit:
        """How well the logits under a spec fit the labels."""
        return measure_fit(self.logits(spec), self.labels)

    def fit_if_better(self, spec: InputSpec, rival: Fit) -> Fit | None:
        """The fit under a spec; None if the first TRIAL_IMAGES fit no better than `rival`."""
        rows: list[NDArray[np.float32]] = []
        for batch in self._batches(spec):
            rows.extend(batch)
            if len(rows) == TRIAL_IMAGES:
                so_far = measure_fit(np.stack(rows), self.labels[:TRIAL_IMAGES])
                if so_far.share.mean() <= rival.share[:TRIAL_IMAGES].mean():
                    return None
        return measure_fit(np.stack(rows), self.labels)

    def _batches(self, spec: InputSpec) -> Iterator[NDArray[np.float32]]:
        for batch in image_batches(self.images, spec, BATCH_SIZE):
            yield self.infer(normalise(batch, spec))


def diagnose(
    infer: Infer,
    images: ImageSet,
    card: ModelCard,
    on_progress: OnProgress,
    norm: FirstNorm | None = None,
) -> None:
    """Refuse a card or a model that the validation images contradict.

    Without labels only a wrong normalisation can be told, and only by a batch norm.

    Args:
        infer: the network behind its normalisation, see `open_core`.
        on_progress: called with (step, done, total).
        norm: the network's first batch norm, where it has one.

    Raises:
        ConfigError: another input or another order of classes fits clearly better.
        ModelError: the model does not recognise the images, whatever the card says.
    """
    misfit = find_misfit(norm, images, card.input) if norm else None
    if not images.is_labelled:
        if misfit:
            raise ConfigError(f"{_misfitting(misfit)} Or give labelled images; they decide.")
        return
    trial = Trial(infer, *choose_images(images, card.classes))
    logits = trial.logits(card.input)
    found = measure_fit(logits, trial.labels)
    suspicions = _clear(_suspect_order(logits, trial.labels, card.classes), found)
    explained = suspicions[0].fit if suspicions else found
    if not explained.leaves_no_doubt:
        suspicions += _clear(_suspect_input(trial, found, card.input, on_progress), found)
    if suspicions:
        best = max(suspicions, key=lambda s: (s.fit.accuracy, s.fit.share.mean()))
        raise ConfigError(_described(best, found))
    if misfit and not is_clearly_better(found, trial.fit(misfit.other.spec)):
        raise ConfigError(_misfitting(misfit))
    if not found.is_recognised:
        raise ModelError(_unrecognised(found, card.classes))


def open_core(fp32: onnx.ModelProto) -> Infer:
    """The exported network behind its normalisation: float32 (batch, 3, h, w) to logits."""
    entry = _normalised_tensor(fp32)
    core = onnx.utils.Extractor(fp32).extract_model([entry], [fp32.graph.output[0].name])
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = ["CPUExecutionProvider"]
    session = ort.InferenceSession(core.SerializeToString(), options, providers=providers)
    return lambda images: np.asarray(session.run(None, {entry: images})[0], np.float32)


def choose_images(images: ImageSet, classes: tuple[str, ...]) -> tuple[ImageSet, NDArray[np.intp]]:
    """At most MAX_IMAGES, evenly from every class, the classes in turn; and their labels.

    Raises:
        ConfigError: an image's label is no class of the card.
    """
    by_class: dict[str, list[int]] = {}
    for position, (label, _) in enumerate(images.files):
        by_class.setdefault(str(label), []).append(position)
    unknown = sorted(set(by_class) - set(classes))
    if unknown:
        raise ConfigError(
            f"{images.origin} holds images of {unknown[0]!r}, which is no class of the model card "
            f"({', '.join(classes)}). Validate on images of the card's classes."
        )
    limit = _images_per_class([len(found) for found in by_class.values()])
    turns: list[tuple[int, int]] = []
    for positions in by_class.values():
        picked = np.linspace(0, len(positions) - 1, min(limit, len(positions))).round().astype(int)
        turns += [(turn, positions[i]) for turn, i in enumerate(picked)]
    files = tuple(images.files[position] for _, position in sorted(turns))
    labels = np.array([classes.index(str(label)) for label, _ in files], np.intp)
    return ImageSet(images.origin, files, ""), labels


def _normalised_tensor(fp32: onnx.ModelProto) -> str:
    """The last tensor of the normalisation; a mean of 0 or a scale of 1 is folded away."""
    names = [n.output[0] for n in fp32.graph.node if n.name.startswith("normalise_")]
    return str(names[-1])


def _images_per_class(counts: list[int]) -> int:
    """The largest limit per class that keeps the sum within MAX_IMAGES."""
    limit = max(counts)
    while limit > 1 and sum(min(limit, count) for count in counts) > MAX_IMAGES:
        limit -= 1
    return limit


def _clear(suspicions: list[Suspicion], found: Fit) -> list[Suspicion]:
    return [s for s in suspicions if is_clearly_better(s.fit, found)]


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
            advice="Correct classes in the model card, or the names of the validation folders.",
            fit=measure_fit(logits[:, order], labels),
        )
    ]


def _suspect_input(
    trial: Trial, found: Fit, spec: InputSpec, on_progress: OnProgress
) -> list[Suspicion]:
    suspicions = []
    others = other_inputs(spec)
    for number, other in enumerate(others, start=1):
        fit = trial.fit_if_better(other.spec, found)
        if fit is not None:
            advice = f"Correct {other.keys} in the model card."
            suspicions.append(Suspicion(other.fits, other.card, advice, fit))
        on_progress("checking the card", number, len(others))
    return suspicions


def _described(best: Suspicion, found: Fit) -> str:
    return (
        f"validation images fit {best.fits} better than the card's {best.card} (accuracy "
        f"{best.fit.accuracy:.1%} instead of {found.accuracy:.1%} on {len(found.labels)} images). "
        f"{best.advice}"
    )


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
            "weights are untrained or damaged, or its input is saturated. Export it again."
        )
    return (
        f"the model does not recognise the validation images (balanced accuracy "
        f"{found.balanced_accuracy:.1%} on {len(found.labels)} images, "
        f"{MIN_BALANCED_ACCURACY:.0%} is needed), and no single entry of the card explains it. "
        "Check that weights, card and image folders belong to the same training."
    )
