"""How right a bundle's confidence is, on its laboratory's images and on others'.

    python -m tests.campaigns.confidence BUNDLE --data DIR [--elsewhere FOLDER ...]
        [--graphs fp32,int8] [--logits-times 1.0]

DIR holds a manifest.csv with the splits val and test; of a `kind` only native images count. Each
temperature is fitted on val, as a conversion does, and shown on test and on each FOLDER of class
folders. `--logits-times` multiplies the logits first, as if the network had been trained that much
more or less sure. For each set: calibration error in ten bins of equally many images with its 95 %
bootstrap interval, mean confidence, the share below the bundle's limit, the accuracy of the rest.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from converters.accuracy import statistics as metrics
from converters.accuracy.temperature import choose_temperature
from converters.reference.data.class_folders import LabelledFile
from converters.reference.evaluation.graphs import open_graph
from converters.reference.evaluation.images import images_of_folders, images_of_split
from edge.bundle import Bundle, load_bundle
from edge.labeller import Labeller
from edge.postprocess import softmax
from edge.shares.share import Share


@dataclass(frozen=True, slots=True)
class Answers:
    """Logits (n, classes) and true classes (n,) of the images of a set."""

    name: str
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]


def answers(labeller: Labeller, bundle: Bundle, name: str, files: list[LabelledFile]) -> Answers:
    rows = [labeller.label(file.path).logits for file in files]
    labels = [bundle.classes.index(file.cell_class) for file in files]
    return Answers(name, np.stack([row for row in rows if row is not None]), np.array(labels))


def native(data: Path, split: str, bundle: Bundle) -> list[LabelledFile]:
    files = images_of_split(data, split, bundle.classes, lambda *_: None).files
    return [file for file in files if file.kind in ("", "native")]


def line(of: Answers, temperature: float, limit: float) -> str:
    confidence = softmax(of.logits, temperature).max(1)
    right = of.logits.argmax(1) == of.labels
    error = metrics.bootstrap(
        len(right), lambda rows: metrics.calibration_error(confidence[rows], right[rows])
    )
    identified = confidence >= limit
    unidentified = Share(int((~identified).sum()), len(right))
    kept = Share(int(right[identified].sum()), int(identified.sum()))
    return (
        f"  {of.name:10} temperature {temperature:.3f}: calibration error {error.value:.2%} "
        f"({error.low:.2%} to {error.high:.2%}), mean confidence {confidence.mean():.2%}, "
        f"right {right.mean():.2%}; unidentified {unidentified}; of the others right {kept}"
    )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--elsewhere", type=Path, nargs="*", default=[])
    parser.add_argument("--graphs", default="fp32,int8")
    parser.add_argument("--logits-times", type=float, default=1.0)
    chosen = parser.parse_args()
    bundle = load_bundle(chosen.bundle)
    sets = {split: native(chosen.data, split, bundle) for split in ("val", "test")}
    for folder in chosen.elsewhere:
        sets[folder.name] = images_of_folders(folder, bundle.classes, lambda *_: None).files
    for graph in chosen.graphs.split(","):
        labeller = open_graph(bundle, graph)
        found = [answers(labeller, bundle, name, files) for name, files in sets.items()]
        scale = np.float32(chosen.logits_times)
        found = [Answers(one.name, one.logits * scale, one.labels) for one in found]
        fitted = choose_temperature(found[0].logits, found[0].labels)
        why = f" ({fitted.reason})" if fitted.reason else ""
        say(f"{graph}, logits times {scale:g}: temperature {fitted.value}{why}")
        for one in found:
            for temperature in dict.fromkeys((1.0, fitted.value)):
                say(line(one, temperature, bundle.unidentified_below))


if __name__ == "__main__":
    main()
