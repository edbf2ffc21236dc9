"""Cells to the alarm, and false alarms, of the watch for drift on real images.

    python -m tests.campaigns.drift NAME.edge --home DIR [--other DIR ...] [--fit DIR]

`--home` holds images of the laboratory that its reference was not fitted on, `--other` those of
another laboratory. Streams are drawn from them with replacement: cells independent of each other,
and slides of 150 cells whose mix of classes is random (Dirichlet, 0.5). `--fit` fits a reference
to the images of a folder first. Simulated changes are of the home images.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from converters.familiarity.choose import MOST_IMAGES
from converters.familiarity.learn import learn_laboratory
from converters.inputs.image_set import load_images
from edge.backends.select import open_session
from edge.bundle import Bundle, load_bundle
from edge.golden import open_labeller
from edge.image_files.read import ImageFile, read_image
from edge.labeller import Labeller, Outcome
from edge.session import InferenceSession
from edge.trust.drift import Drift
from edge.trust.familiarity import FamiliarityCheck

Picture: TypeAlias = NDArray[np.uint8]
Change: TypeAlias = Callable[[Picture], Picture]
# Predicted class and shift of each image.
Cells: TypeAlias = list[tuple[str, float]]

_BATCH: Final = 16
_SLIDE: Final = 150
_STREAM: Final = 1_000_000
_RUNS: Final = 1_000
# A stream runs so long before it changes, and so long afterwards at most.
_BEFORE: Final = 300
_LONGEST: Final = 2_000
_CONCENTRATION: Final = 0.5


def tinted(picture: Picture, red: float, blue: float) -> Picture:
    """Another white balance, RGB."""
    return np.asarray(np.clip(picture * np.array([red, 1.0, blue]), 0, 255), np.uint8)


def blurred(picture: Picture, sigma_px: float) -> Picture:
    """Out of focus."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma_px), np.uint8)


def darker(picture: Picture, share: float) -> Picture:
    """A lamp that gives this share of its light."""
    return np.asarray(picture * share, np.uint8)


def compressed(picture: Picture, quality: int) -> Picture:
    """Exported as a JPEG of this quality."""
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


CHANGES: Final[dict[str, Change]] = {
    "warm light (red 1.12, blue 0.88)": partial(tinted, red=1.12, blue=0.88),
    "slight white balance (red 1.04, blue 0.96)": partial(tinted, red=1.04, blue=0.96),
    "slighter white balance (1.03, 0.97)": partial(tinted, red=1.03, blue=0.97),
    "lamp at 75 %": partial(darker, share=0.75),
    "lamp at 92 %": partial(darker, share=0.92),
    "blur, sigma 3 px": partial(blurred, sigma_px=3.0),
    "blur, sigma 2 px": partial(blurred, sigma_px=2.0),
    "JPEG quality 20": partial(compressed, quality=20),
}


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--other", type=Path, nargs="*", default=[])
    parser.add_argument("--fit", type=Path)
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    session = open_session(bundle, backend="onnxruntime")
    labeller = fitted(bundle, session, arguments.fit) if arguments.fit else None
    labeller = labeller or open_labeller(bundle, session)
    home = cells_of(labeller, arguments.home)
    shifts = np.array([shift for _, shift in home])
    say(f"home: {len(home)} cells, shift {shifts.mean():+.2f} sd {shifts.std():.2f}")
    for name, draw in (("independent cells", independent), ("slides of random mix", slides)):
        rate = false_alarms(draw(home, np.random.default_rng(1))) * 100_000 / _STREAM
        say(f"false alarms per 100,000, {name}: {rate:.1f}")
    say(f"{'change':<44} {'cells':>5} {'mean shift':>10} {'median':>7} {'95 %':>6} {'never':>6}")
    for folder in arguments.other:
        report(folder.name, home, cells_of(labeller, folder))
    for name, change in CHANGES.items():
        report(name, home, cells_of(labeller, arguments.home, change))
    return 0


def fitted(bundle: Bundle, session: InferenceSession, folder: Path) -> Labeller:
    """A labeller with a reference that is fitted to the images of a folder."""
    graph = bundle.graph_of(session)
    images = load_images(folder, limit=MOST_IMAGES)
    laboratory = learn_laboratory(
        {graph: session}, images, bundle.input, len(bundle.classes), lambda *_: None
    )
    if laboratory.reference is None:
        raise SystemExit(laboratory.absent)
    return Labeller(
        session,
        classes=bundle.classes,
        spec=bundle.input,
        unidentified_below=bundle.unidentified_below,
        familiarity=FamiliarityCheck(laboratory.reference, graph),
    )


def cells_of(labeller: Labeller, folder: Path, change: Change | None = None) -> Cells:
    """What the labeller says of the images of a folder, changed if asked."""
    paths = sorted(folder.rglob("*.jpg"))
    found: Cells = []
    for first in range(0, len(paths), _BATCH):
        batch = [file_of(path, change) for path in paths[first : first + _BATCH]]
        for outcome in labeller.label_batch(batch):
            if isinstance(outcome, Outcome) and outcome.decision and outcome.familiarity:
                found.append((outcome.decision.label, outcome.familiarity.shift))
    if not found:
        raise SystemExit(f"{folder}: no image was judged; use --fit, or a bundle with a reference")
    return found


def file_of(path: Path, change: Change | None) -> Path | ImageFile:
    """The image, or a lossless copy of it that is changed."""
    if change is None:
        return path
    _, content = cv2.imencode(".png", change(read_image(path))[..., ::-1])
    return ImageFile(path, content.tobytes(), None)


def independent(cells: Cells, draw: np.random.Generator) -> Iterator[float]:
    """Cells drawn with replacement, without end."""
    shifts = np.array([shift for _, shift in cells])
    while True:
        yield from draw.choice(shifts, 10_000).tolist()


def slides(cells: Cells, draw: np.random.Generator) -> Iterator[float]:
    """Slides, each with a mix of predicted classes of its own, without end."""
    by_class: dict[str, list[float]] = {}
    for label, shift in cells:
        by_class.setdefault(label, []).append(shift)
    classes = sorted(by_class)
    while True:
        mix = draw.dirichlet([_CONCENTRATION] * len(classes))
        for number in draw.choice(len(classes), _SLIDE, p=mix):
            yield float(draw.choice(by_class[classes[number]]))


def false_alarms(shifts: Iterator[float]) -> int:
    """Alarms that begin in a stream of the laboratory."""
    state, alarms = Drift(), 0
    for _ in range(_STREAM):
        before, state = state, state.after(next(shifts), 0.0)
        alarms += state.is_alarm and not before.is_alarm
    return alarms


def report(name: str, home: Cells, changed: Cells) -> None:
    """Print how many changed cells it takes."""
    draw = np.random.default_rng(2)
    before, after = independent(home, draw), independent(changed, draw)
    delays = sorted(delay(before, after) for _ in range(_RUNS))
    mean = np.mean([shift for _, shift in changed])
    never = sum(one > _LONGEST for one in delays) / _RUNS
    median, late = (
        f">{_LONGEST}" if one > _LONGEST else str(one)
        for one in (delays[_RUNS // 2], delays[int(0.95 * _RUNS)])
    )
    say(f"{name:<44} {len(changed):>5} {mean:>+10.2f} {median:>7} {late:>6} {never:>6.1%}")


def delay(before: Iterator[float], after: Iterator[float]) -> int:
    """Cells from the change to the alarm; more than `_LONGEST`: none."""
    state = Drift()
    for _ in range(_BEFORE):
        state = state.after(next(before), 0.0)
    begun = state.cells
    while not state.is_alarm and state.cells - begun <= _LONGEST:
        state = state.after(next(after), 0.0)
    return state.cells - begun


if __name__ == "__main__":
    raise SystemExit(main())
