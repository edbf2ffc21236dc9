"""A conversion that FP32's wrong labels and its confidence are told of."""

from __future__ import annotations

import io
import shutil
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from converters.cli import main
from tests.support.images import Jpeg

# Of red and green, beside the 16 of each class that the validation folder has.
_MORE_IMAGES = 32
# The logits are multiplied by it: a mean confidence below 0.5 where 91 % are right.
_UNSURE = 0.045


@dataclass(frozen=True, slots=True)
class Conversion:
    """A bundle and what was printed; no test changes it."""

    bundle: Path
    printed: str


@pytest.fixture(scope="session")
def conversion_with_errors(
    model_origin: Path, tmp_path_factory: pytest.TempPathFactory, colour_jpeg: Jpeg
) -> Conversion:
    """An unsure network, and 112 validation images: 16 are called blue, of which 10 are not."""
    folder = Path(shutil.copytree(model_origin, tmp_path_factory.mktemp("errors") / "model"))
    weights = torch.load(folder / "tiny.pt", weights_only=True)
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] *= _UNSURE
    torch.save(weights, folder / "tiny.pt")
    blue = sorted((folder / "validation" / "blue").iterdir())
    colours = ["red"] * 5 + ["green"] * 5
    for seed, (path, colour) in enumerate(zip(blue, colours, strict=False), start=1000):
        path.write_bytes(colour_jpeg(colour, seed=seed))
    for number in range(_MORE_IMAGES):
        for name in ("red", "green"):
            path = folder / "validation" / name / f"more {number}.jpg"
            path.write_bytes(colour_jpeg(name, seed=2000 + number))
    bundle, printed = folder / "tiny.edge", io.StringIO()
    with redirect_stdout(printed):
        assert main([str(folder / "tiny.pt"), "--int8", "--out", str(bundle)]) == 0
    return Conversion(bundle, printed.getvalue())
