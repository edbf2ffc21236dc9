"""What a new last layer brings to a laboratory, by the number of its labelled cells.

    python -m tests.campaigns.adapt NAME.edge LABELLED ... [--cells 5 10 20] [--splits 10]

For each folder of labelled cells and each number: the share of right labels, the mean over the
classes, of the bundle as it is and with a new layer. Each split draws so many cells of each class,
chooses the fit on them alone by cross-validation, and tries it on all others. The features are
those of the graph that a CPU runs. Prints mean and standard deviation over the splits. Splits are
by image: cells of one patient or slide may be on both sides, so the figures are a little too good.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from converters.adapt.choice import choose_recipe, some_of_each
from converters.adapt.head import fit_views
from converters.adapt.layer import head_of
from converters.adapt.seen import graphs_of, look, served_here
from converters.features.output import has_features, with_features
from converters.inputs.image_set import load_images
from converters.int8.graphs import FP32, GRAPHS
from converters.int8.target_session import open_graph
from edge.bundle import Bundle, load_bundle


def balanced(right: np.ndarray, labels: np.ndarray) -> float:
    """Percent right, the mean over the classes."""
    return 100 * float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def measure(bundle: Bundle, folder: Path, numbers: list[int], splits: int) -> None:
    """Print the lines of one folder."""
    models = graphs_of(bundle)
    served = served_here(models)
    images = load_images(folder, bundle.classes)
    labels = np.array([bundle.classes.index(str(label)) for label, _ in images.files])
    model = models[served]
    extended = model if has_features(model) else with_features(model).model
    session = open_graph(GRAPHS[served], extended)
    seen = look(session, images, bundle.input, lambda _done, _total: None)
    parent = head_of(models[FP32.name])
    as_it_is = balanced(seen.logits.argmax(1) == labels, labels)
    say(f"{folder.name}: {len(labels)} images, {GRAPHS[served].path} as it is {as_it_is:.1f} %")
    for number in numbers:
        found = []
        for split in range(splits):
            chosen = some_of_each(labels, number, seed=split)
            rest = np.setdiff1d(np.arange(len(labels)), chosen)
            if not len(rest):
                break
            features = seen.features[chosen]
            recipe = choose_recipe(features, labels[chosen], parent, lambda _done, _total: None)
            head = fit_views(features, labels[chosen], parent, recipe)
            right = head.logits(seen.features[rest, 0]).argmax(1) == labels[rest]
            found.append(balanced(right, labels[rest]))
        if found:
            say(f"  {number} of a class: {np.mean(found):.1f} % (sd {np.std(found):.1f})")


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--cells", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--splits", type=int, default=10)
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    for folder in options.folders:
        measure(bundle, folder, options.cells, options.splits)


if __name__ == "__main__":
    main()
