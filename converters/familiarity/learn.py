"""Learns a laboratory from its images, and tries what was learned on simulated faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from converters.familiarity.choose import few_of, rare_ones
from converters.familiarity.faults import KNOWN, TRIED
from converters.familiarity.fit import LEAST_IMAGES, Fitted, NoReferenceError, fit_reference
from converters.familiarity.laboratory import Laboratory
from converters.familiarity.look import Seen, look, read
from converters.familiarity.trial import simulate, try_fault
from converters.inputs.image_set import ImageSet
from edge.command.run import place_of
from edge.preprocess import InputSpec
from edge.session import InferenceSession
from edge.shares.share import Share
from edge.text.progress import OnProgress
from edge.trust.reference import MAX_REFERENCE_BYTES, Reference, read_reference

_LEARNING: Final = "learning the laboratory"
# Images on which each fault is simulated: some for its direction, others to try it.
_KNOWN_ON: Final = 40
_TRIED_ON: Final = 40
# Images in which the graphs for GPUs, which are slow on a CPU, are compared with the first one.
_COMPARED_IN: Final = 200
# Images of the laboratory that are strangest to it, shown in the report.
_STRANGEST: Final = 12


def learn_laboratory(
    sessions: Mapping[str, InferenceSession],
    images: ImageSet,
    spec: InputSpec,
    class_count: int,
    on_progress: OnProgress,
    labelled: Sequence[tuple[int, Path]] = (),
) -> Laboratory:
    """Fit a reference to a laboratory's images, or say why there is none.

    Args:
        sessions: of all graphs, by model file. The first one is shown all images, and the faults.
        images: of the laboratory, at most `choose.MOST_IMAGES`, with labels or without.
        labelled: images of the same laboratory with the indices of their classes, from which
            classes are filled up that are too rare in the others.
    """
    if (count := len(images.files)) < LEAST_IMAGES:
        few = (
            f"{images.origin} holds {count} images{images.left_out_text}, {LEAST_IMAGES} of the "
            "laboratory are needed"
        )
        return Laboratory(images, None, sessions, spec, few)
    try:
        return _learn(sessions, images, spec, class_count, on_progress, labelled)
    except NoReferenceError as error:
        return Laboratory(images, None, sessions, spec, str(error))
    # A reference is an addition: no image that is gone, no picture that OpenCV cannot change and no
    # number that numpy cannot invert may cost a conversion of hours.
    except Exception as error:  # noqa: BLE001 - see above; the reason is told
        reason = f"{type(error).__name__} at {place_of(error)}: {str(error)[:200]}"
        return Laboratory(images, None, sessions, spec, reason)


def _learn(
    sessions: Mapping[str, InferenceSession],
    images: ImageSet,
    spec: InputSpec,
    class_count: int,
    on_progress: OnProgress,
    labelled: Sequence[tuple[int, Path]],
) -> Laboratory:
    paths = [path for _, path in images.files]
    graph, first = next(iter(sessions.items()))
    home = look(first, read(paths), spec, len(paths), partial(on_progress, _LEARNING))
    if added := rare_ones(labelled, few_of(home, class_count), set(paths)):
        home = home.joined(look(first, read(added), spec, len(added)))
        paths += added
    others = _seen_by_others(sessions, home, paths, spec, on_progress)
    shuffled = [paths[i] for i in np.random.default_rng(0).permutation(len(paths))]
    known_on, tried_on = shuffled[:_KNOWN_ON], shuffled[_KNOWN_ON : _KNOWN_ON + _TRIED_ON]
    known = simulate(first, KNOWN, known_on, spec, partial(on_progress, "simulating faults"))
    directions = [(str(fault.reason), seen) for fault, seen in zip(KNOWN, known, strict=True)]
    fitted = fit_reference(home, others, directions, graph=graph, class_count=class_count)
    _require_readable(fitted.reference, class_count)
    seen = simulate(first, TRIED, tried_on, spec, partial(on_progress, "trying faults"))
    strangest = np.argsort(-fitted.scores)[:_STRANGEST]
    return Laboratory(
        images=images,
        reference=fitted.reference,
        sessions=sessions,
        spec=spec,
        flagged=_flagged(fitted, graph),
        lacking=tuple(few_of(home, class_count)),
        tried=tuple(
            try_fault(fitted.reference, graph, *pair) for pair in zip(TRIED, seen, strict=True)
        ),
        strangest=tuple((paths[i], float(fitted.scores[i])) for i in strangest),
    )


def _seen_by_others(
    sessions: Mapping[str, InferenceSession],
    home: Seen,
    paths: Sequence[Path],
    spec: InputSpec,
    on_progress: OnProgress,
) -> dict[str, tuple[Seen, Seen]]:
    """By model file but the first, what that graph and the first one saw in some of the images."""
    compared = np.unique(np.linspace(0, len(paths) - 1, _COMPARED_IN).round().astype(np.int64))
    found = {}
    for path, session in list(sessions.items())[1:]:
        count = partial(on_progress, f"{_LEARNING} with {path}")
        pictures = read([paths[i] for i in compared])
        found[path] = (look(session, pictures, spec, len(compared), count), home.at(compared))
    return found


def _require_readable(reference: Reference, class_count: int) -> None:
    """Require that the bundle can be opened with the reference.

    Raises:
        BundleError, ValueError, NoReferenceError: it could not be.
    """
    content = reference.to_bytes()
    if len(content) > MAX_REFERENCE_BYTES:
        raise NoReferenceError(
            f"it would have {len(content)} bytes, at most {MAX_REFERENCE_BYTES} are read"
        )
    read_reference(content, class_count)


def _flagged(fitted: Fitted, graph: str) -> Share:
    beyond = fitted.scores > fitted.reference.graphs[graph].limit
    return Share(int(beyond.sum()), len(beyond))
