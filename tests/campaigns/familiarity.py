"""How well a bundle notices that an image is not of its laboratory.

    python -m tests.campaigns.familiarity BUNDLE --data DIR [--elsewhere FOLDER ...] [--on 120]
        [--graph int8]

DIR holds a manifest.csv with the split test; of a `kind` only native images count. Told are, for
the native test images, for each FOLDER of class folders, and for faults simulated on ON of the
test images (other strengths than those that a conversion learns from): the share that does not
pass, the area under the ROC curve against the test images, and of those that do not pass the
share with the right reason. At the end: what the check costs for an image.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from converters.familiarity import faults
from converters.reference.data.class_folders import LabelledFile
from converters.reference.evaluation.graphs import open_graph
from converters.reference.evaluation.images import images_of_folders, images_of_split
from edge.backends.interleave import interleave
from edge.bundle import Bundle, load_bundle
from edge.image_files.read import ImageFile, read_image
from edge.labeller import Labeller, Outcome
from edge.shares.share import Share
from edge.trust.familiarity import Familiarity, FamiliarityCheck
from edge.trust.reference import REFERENCE_NAME, read_reference
from edge.trust.statistics import picture_statistics
from edge.trust.unfamiliar import Unfamiliar

Picture = NDArray[np.uint8]
_ROUNDS: Final = 300


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a picture; `reason` is the right one, None where no one reason is right."""

    text: str
    reason: Unfamiliar | None
    make: Callable[[Picture], Picture]


def _noise(picture: Picture) -> Picture:
    return np.random.default_rng(1).integers(0, 256, picture.shape).astype(np.uint8)


def _jpeg(picture: Picture, quality: int) -> Picture:
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


CHANGES: Final = (
    Change("half cell, left", Unfamiliar.OFF_CENTRE, lambda p: faults.moved(p, 0.5, 0.0)),
    Change("half cell, upper", Unfamiliar.OFF_CENTRE, lambda p: faults.moved(p, 0.0, 0.5)),
    Change("moved by a tenth", Unfamiliar.OFF_CENTRE, lambda p: faults.moved(p, 0.1, 0.0)),
    Change("moved by a quarter", Unfamiliar.OFF_CENTRE, lambda p: faults.moved(p, 0.18, 0.18)),
    Change("no nucleus", Unfamiliar.NO_NUCLEUS, faults.without_nucleus),
    Change("background alone", Unfamiliar.NO_NUCLEUS, faults.empty),
    Change("corner", Unfamiliar.NO_NUCLEUS, faults.corner),
    Change("noise", None, _noise),
    Change("black", Unfamiliar.TOO_DARK, np.zeros_like),
    Change("white", None, lambda p: np.full_like(p, 250)),
    Change("blur, sigma 2", Unfamiliar.BLURRED, lambda p: faults.gaussian(p, 2.0)),
    Change("blur, sigma 3", Unfamiliar.BLURRED, lambda p: faults.gaussian(p, 3.0)),
    Change("blur, sigma 5", Unfamiliar.BLURRED, lambda p: faults.gaussian(p, 5.0)),
    Change("out of focus, 5 px", Unfamiliar.BLURRED, lambda p: faults.defocus(p, 5)),
    Change("0.8 of the light", Unfamiliar.TOO_DARK, lambda p: faults.gained(p, 0.8, 0.8, 0.8)),
    Change("0.6 of the light", Unfamiliar.TOO_DARK, lambda p: faults.gained(p, 0.6, 0.6, 0.6)),
    Change("gamma 2", Unfamiliar.TOO_DARK, lambda p: faults.curved(p, 2.0)),
    Change("1.3 of the light", Unfamiliar.TOO_BRIGHT, lambda p: faults.gained(p, 1.3, 1.3, 1.3)),
    Change("gamma 0.5", Unfamiliar.TOO_BRIGHT, lambda p: faults.curved(p, 0.5)),
    Change("white balance, slight", Unfamiliar.STAIN, lambda p: faults.gained(p, 1.05, 1, 0.95)),
    Change("white balance", Unfamiliar.STAIN, lambda p: faults.gained(p, 1.12, 1.0, 0.82)),
    Change("hue, 20 degrees", Unfamiliar.STAIN, lambda p: faults.stained(p, 20.0, 1.0)),
    Change("pale", Unfamiliar.STAIN, lambda p: faults.stained(p, 0.0, 0.5)),
    Change("red and blue swapped", Unfamiliar.STAIN, faults.swapped),
    Change("without colour", Unfamiliar.STAIN, faults.grey),
    Change("0.6 of the size", Unfamiliar.TOO_SMALL, lambda p: faults.smaller(p, 0.6)),
    Change("0.4 of the size", Unfamiliar.TOO_SMALL, lambda p: faults.smaller(p, 0.4)),
    Change("1.7 times the size", Unfamiliar.TOO_LARGE, lambda p: faults.larger(p, 0.6)),
    Change("2.2 times the size", Unfamiliar.TOO_LARGE, lambda p: faults.larger(p, 0.45)),
    Change("JPEG of quality 20", None, lambda p: _jpeg(p, 20)),
)


def auroc(home: NDArray[np.float64], strange: NDArray[np.float64]) -> float:
    """The chance that a strange image has a higher score than one of the laboratory."""
    higher = (strange[:, None] > home).mean()
    return float(higher + (strange[:, None] == home).mean() / 2)


def judged(labeller: Labeller, files: Iterable[Path | ImageFile]) -> list[Familiarity]:
    return [found.familiarity for f in files if (found := labeller.label(f)).familiarity]


def scores(found: list[Familiarity]) -> NDArray[np.float64]:
    return np.array([one.score for one in found])


def encoded(picture: Picture) -> ImageFile:
    """As an analyzer would export it."""
    bgr = np.ascontiguousarray(picture[:, :, ::-1])
    _, content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return ImageFile(Path("simulated.jpg"), content.tobytes(), None)


def line(name: str, home: NDArray[np.float64], found: list[Familiarity]) -> str:
    strange = Share(sum(not one.passes for one in found), len(found))
    return f"{name:24} AUROC {auroc(home, scores(found)):.3f}, does not pass {strange}"


def tell_elsewhere(
    labeller: Labeller, home: NDArray[np.float64], name: str, files: list[LabelledFile]
) -> None:
    outcomes = [labeller.label(file.path) for file in files]
    say(line(name, home, [one.familiarity for one in outcomes if one.familiarity]))
    reasons = Counter(one.familiarity.reason for one in outcomes if one.familiarity)
    say(f"{'':24} {', '.join(f'{reason} {n}' for reason, n in reasons.most_common())}")
    right = [_is_right(*pair) for pair in zip(outcomes, files, strict=True)]
    labelled = [r for r, one in zip(right, outcomes, strict=True) if one.status == "labelled"]
    all_right = Share(sum(right), len(right))
    kept = Share(sum(labelled), len(labelled))
    say(f"{'':24} labels right without the check {all_right}; of those that keep theirs {kept}")


def _is_right(outcome: Outcome, file: LabelledFile) -> bool:
    return outcome.decision is not None and outcome.decision.label == file.cell_class


def tell_faults(labeller: Labeller, home: NDArray[np.float64], paths: list[Path]) -> None:
    pictures = [read_image(path) for path in paths]
    named = Counter[str]()
    for change in CHANGES:
        found = judged(labeller, (encoded(change.make(picture)) for picture in pictures))
        text = line(change.text, home, found)
        reasons = Counter(one.reason for one in found if not one.passes)
        if change.reason is not None and reasons.total():
            right = Share(reasons[str(change.reason)], reasons.total())
            named["right"] += right.count
            named["all"] += right.total
            text += f"; reason {change.reason} for {right.rate:.0%}"
        elif reasons:
            text += f"; {', '.join(f'{reason} {n}' for reason, n in reasons.most_common(3))}"
        say(text)
    say(f"the right reason, over all of these: {Share(named['right'], named['all'])}")


def tell_cost(bundle: Bundle, labeller: Labeller, path: Path) -> None:
    """Time the statistics and the judgement beside the inference that they add to."""
    reference = read_reference(bundle.read(REFERENCE_NAME), len(bundle.classes))
    check = FamiliarityCheck(reference, bundle.graph_of(labeller.session))
    picture = read_image(path)
    batch = np.zeros((1, bundle.input.height, bundle.input.width, 3), np.uint8)
    inferred = labeller.session.infer(batch).row(0)
    statistics = picture_statistics(picture)
    times = interleave(
        {
            "statistics": lambda _: picture_statistics(picture),
            "judging": lambda _: check.judge(statistics, inferred.features, 0),
            "inference": lambda _: labeller.session.infer(batch),
        },
        _ROUNDS,
    )
    for name, found in times.items():
        say(f"{name:12} median {found.median:.3f} ms")


def _quiet(*_: object) -> None:
    pass


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--elsewhere", type=Path, nargs="*", default=[])
    parser.add_argument("--on", type=int, default=120)
    parser.add_argument("--graph", default="int8")
    given = parser.parse_args()
    bundle = load_bundle(given.bundle)
    labeller = open_graph(bundle, given.graph)
    files = images_of_split(given.data, "test", bundle.classes, _quiet).files
    paths = [file.path for file in files if file.kind in ("", "native")]
    at_home = judged(labeller, paths)
    home = scores(at_home)
    say(f"{bundle.name} {bundle.version}, {given.graph}")
    say(line("test, native", home, at_home))
    for folder in given.elsewhere:
        found = images_of_folders(folder, bundle.classes, _quiet).files
        tell_elsewhere(labeller, home, folder.name, list(found))
    chosen = np.random.default_rng(0).permutation(len(paths))[: given.on]
    tell_faults(labeller, home, [paths[i] for i in chosen])
    tell_cost(bundle, labeller, paths[0])


if __name__ == "__main__":
    main()
