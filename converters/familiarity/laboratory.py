"""Makes a laboratory's reference from its images, and tries it on simulated faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from converters.familiarity.choose import LEAST_OF_CLASS, few_of, rare_ones
from converters.familiarity.faults import KNOWN, TRIED, Fault
from converters.familiarity.fit import LEAST_IMAGES, Fitted, NoReferenceError, fit_reference
from converters.familiarity.look import Seen, look
from converters.inputs.image_set import ImageSet
from edge.command.run import place_of
from edge.image_files.read import read_image
from edge.preprocess import InputSpec
from edge.session import InferenceSession
from edge.shares.share import Share
from edge.text.progress import OnCount, OnProgress
from edge.trust.familiarity import FamiliarityCheck
from edge.trust.reference import MAX_REFERENCE_BYTES, Reference, read_reference

# Images on which each fault is simulated: some for its direction, others to try it.
_KNOWN_ON: Final = 40
_TRIED_ON: Final = 40
# Of large pictures fewer are changed: a fault of forty with 16 megapixels takes a minute, and they
# take 2 GB.
_MOST_PIXELS: Final = 40_000_000
_LEAST_PICTURES: Final = 5
# Images in which the graphs for GPUs, which are slow on a CPU, are compared with the first one.
_COMPARED_IN: Final = 200
# Images of the laboratory that are strangest to it, shown in the report.
_STRANGEST: Final = 12


@dataclass(frozen=True, slots=True)
class Tried:
    """A simulated fault: how often it was noticed, and how often its reason was right then."""

    fault: Fault
    noticed: Share
    named: Share


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A laboratory's reference, and what is known of it.

    Attributes:
        reference: None if it could not be made.
        absent: why there is none; empty if there is one.
        flagged: images of the laboratory that do not pass, each judged by the others.
        strangest: the files with the highest scores, the highest first, with the scores.
        lacking: indices of the classes of which there are too few images.
    """

    images: ImageSet
    reference: Reference | None
    sessions: Mapping[str, InferenceSession]
    spec: InputSpec
    absent: str = ""
    flagged: Share = field(default_factory=lambda: Share(0, 0))
    tried: tuple[Tried, ...] = ()
    strangest: tuple[tuple[Path, float], ...] = ()
    lacking: tuple[int, ...] = ()

    def scores(self, image: Path) -> dict[str, float]:
        """The familiarity score of an image by model file; empty without a reference."""
        if self.reference is None:
            return {}
        found = {}
        for path, session in self.sessions.items():
            (score,), _ = _judged(
                self.reference, path, look(session, [read_image(image)], self.spec, 1)
            )
            found[path] = round(score, 3)
        return found

    def noticed_by_reason(self) -> dict[str, Share]:
        """How many pictures with a simulated fault do not pass, by the fault's reason."""
        found: dict[str, Share] = {}
        for one in self.tried:
            before = found.get(str(one.fault.reason), Share(0, 0))
            count, total = before.count + one.noticed.count, before.total + one.noticed.total
            found[str(one.fault.reason)] = Share(count, total)
        return found

    def facts(self) -> dict[str, Any]:
        """The entry `laboratory` of the manifest."""
        facts = {"origin": self.images.origin, "images": len(self.images.files)}
        return {**facts, "absent": self.absent} if self.reference is None else facts

    def warnings(self, classes: Sequence[str]) -> list[str]:
        """A line where there is no reference, or where it lacks classes."""
        if self.reference is not None and not self.lacking:
            return []
        if self.reference is not None:
            names = ", ".join(classes[index] for index in self.lacking)
            line = (
                f"of {names}, the images of the laboratory ({self.images.origin}) hold fewer than "
                f"{LEAST_OF_CLASS}; most of them would be unidentified as unlike the "
                "laboratory's. Add some to its folder"
            )
            return [line]
        line = (
            f"no reference of the laboratory: {self.absent}. Images of another laboratory get "
            "labels as if they were of this one. Give --reference with a folder of exported images"
        )
        return [line]

    def evidence(self) -> dict[str, Any]:
        """The figures, as JSON types, for the evidence of the bundle."""
        facts = self.facts()
        if self.reference is None:
            return facts
        space = self.reference.features
        return {
            **facts,
            "features": space and len(space.mean),
            "components": space and len(space.components),
            "limits": {path: round(one.limit, 4) for path, one in self.reference.graphs.items()},
            "flagged": self.flagged.to_dict(),
            "faults": [
                {
                    "reason": str(one.fault.reason),
                    "text": one.fault.text,
                    "noticed": one.noticed.to_dict(),
                    "named": one.named.to_dict(),
                }
                for one in self.tried
            ],
            "strangest": [
                {"file": path.name, "score": round(score, 3)} for path, score in self.strangest
            ],
        }


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
    (graph, first), *rest = sessions.items()
    learning = "learning the laboratory"
    home = look(first, _read(paths), spec, len(paths), partial(on_progress, learning))
    if added := rare_ones(labelled, few_of(home, class_count), set(paths)):
        home = home.joined(look(first, _read(added), spec, len(added)))
        paths += added
    compared = np.unique(np.linspace(0, len(paths) - 1, _COMPARED_IN).round().astype(np.int64))
    others = {}
    for path, session in rest:
        count = partial(on_progress, f"{learning} with {path}")
        pictures = _read([paths[i] for i in compared])
        others[path] = (look(session, pictures, spec, len(compared), count), home.at(compared))
    shuffled = np.random.default_rng(0).permutation(len(paths))
    known_on = [paths[i] for i in shuffled[:_KNOWN_ON]]
    tried_on = [paths[i] for i in shuffled[_KNOWN_ON : _KNOWN_ON + _TRIED_ON]]
    count = partial(on_progress, "simulating faults")
    known = _simulate(first, KNOWN, known_on, spec, count)
    fitted = fit_reference(
        home,
        others,
        [(str(fault.reason), seen) for fault, seen in zip(KNOWN, known, strict=True)],
        graph=graph,
        class_count=class_count,
    )
    _require_readable(fitted.reference, class_count)
    seen = _simulate(first, TRIED, tried_on, spec, partial(on_progress, "trying faults"))
    tried = [_tried(fitted.reference, graph, *pair) for pair in zip(TRIED, seen, strict=True)]
    return Laboratory(
        images=images,
        reference=fitted.reference,
        sessions=sessions,
        spec=spec,
        flagged=_flagged(fitted, graph),
        lacking=tuple(few_of(home, class_count)),
        tried=tuple(tried),
        strangest=tuple(
            (paths[i], float(fitted.scores[i])) for i in np.argsort(-fitted.scores)[:_STRANGEST]
        ),
    )


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


def _read(paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    return (read_image(path) for path in paths)


def _some(pictures: Iterator[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The first pictures, together as large as `_MOST_PIXELS`, but five in any case."""
    found: list[NDArray[np.uint8]] = []
    pixels = 0
    for picture in pictures:
        pixels += picture.size // 3
        if len(found) >= _LEAST_PICTURES and pixels > _MOST_PIXELS:
            break
        found.append(picture)
    return found


def _simulate(
    session: InferenceSession,
    faults: Sequence[Fault],
    paths: Sequence[Path],
    spec: InputSpec,
    on_count: OnCount,
) -> list[Seen]:
    pictures = _some(_read(paths))
    found = []
    for number, fault in enumerate(faults, start=1):
        changed = (fault.change(picture) for picture in pictures)
        found.append(look(session, changed, spec, len(pictures)))
        on_count(number, len(faults))
    return found


def _judged(reference: Reference, graph: str, seen: Seen) -> tuple[list[float], list[str | None]]:
    """Scores and reasons."""
    check = FamiliarityCheck(reference, graph)
    found = [
        check.judge(
            seen.statistics[row],
            None if seen.features is None else seen.features[row],
            int(seen.predicted[row]),
        )
        for row in range(len(seen))
    ]
    return [one.score for one in found], [one.reason for one in found]


def _tried(reference: Reference, graph: str, fault: Fault, seen: Seen) -> Tried:
    _, reasons = _judged(reference, graph, seen)
    noticed = [reason for reason in reasons if reason is not None]
    right = sum(reason == fault.reason for reason in noticed)
    return Tried(fault, Share(len(noticed), len(reasons)), Share(right, len(noticed)))


def _flagged(fitted: Fitted, graph: str) -> Share:
    beyond = fitted.scores > fitted.reference.graphs[graph].limit
    return Share(int(beyond.sum()), len(beyond))
