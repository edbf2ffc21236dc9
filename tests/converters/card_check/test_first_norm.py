"""A wrong normalisation that costs no labels: the first batch norm knows what it was trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
import yaml
from numpy.typing import NDArray
from torch import nn

from converters.card_check.alternatives import NORMALISATIONS
from converters.card_check.core import open_at_any_size
from converters.card_check.diagnosis import diagnose
from converters.card_check.first_norm import FirstNorm, find_first_norm, find_misfit
from converters.cli import main
from converters.inputs.card import ModelCard, read_card
from converters.inputs.image_set import ImageSet, evenly, image_batches, load_images
from converters.loading.checkpoint import open_model
from converters.loading.samples import normalise
from converters.loading.torch_graph.export import export
from edge.errors import ConfigError
from edge.preprocess import InputSpec
from tests.support.images import Jpeg
from tests.support.networks.discs import CLASSES, INPUT, draw_disc
from tests.support.networks.tiny_network import CARD, TinyNetwork

REFERENCE = Path("converters/reference")
SPEC = InputSpec.from_dict(INPUT)
USUAL = [replace(SPEC, mean=mean, std=std) for mean, std in NORMALISATIONS]
NAMES = [
    "mean [0.485, 0.456, 0.406]",
    "mean 0.5 and std 0.5",
    "mean 0 and std 1",
    "mean 0 and std 0.003922 (1/255: values 0 to 255)",
]


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    folder = tmp_path_factory.mktemp("discs")
    files = []
    for number in range(42):
        name = CLASSES[number % len(CLASSES)]
        path = folder / f"{number}.png"
        bgr = np.ascontiguousarray(draw_disc(name, number)[..., ::-1])
        path.write_bytes(cv2.imencode(".png", bgr)[1].tobytes())
        files.append((name, path))
    return ImageSet("discs", tuple(files), "")


def trained_on(images: ImageSet, spec: InputSpec, *, brightness: float = 0.0) -> FirstNorm:
    """The batch norm of an untrained convolution that has seen the images, brighter and darker."""
    torch.manual_seed(11)
    network = nn.Sequential(
        nn.Conv2d(3, 12, 3, 2, 1, bias=False),
        nn.BatchNorm2d(12, momentum=None),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 7),
    )
    rng = np.random.default_rng(3)
    for batch in image_batches(images, spec, 14):
        factors = rng.uniform(1 - brightness, 1 + brightness, (len(batch), 1, 1, 1))
        varied = np.clip(batch * factors, 0, 255).astype(np.uint8)
        network(torch.from_numpy(normalise(varied, spec)))
    norm = find_first_norm(onnx.load_from_string(export(network.eval(), "discs", 32, 32)))
    assert norm is not None
    return norm


@pytest.mark.parametrize("trained", range(4))
@pytest.mark.parametrize("brightness", [0.0, 0.3])
def test_find_misfit_names_the_training_s_normalisation_and_blames_no_right_card(
    discs: ImageSet, trained: int, brightness: float
) -> None:
    norm = trained_on(discs, USUAL[trained], brightness=brightness)
    for number, spec in enumerate(USUAL):
        misfit = find_misfit(norm, discs, spec)
        if number == trained:
            assert misfit is None
        else:
            assert misfit is not None
            assert misfit.other.fits.startswith(NAMES[trained])


def test_find_misfit_of_images_unlike_the_training_says_nothing(discs: ImageSet) -> None:
    norm = trained_on(discs, SPEC)
    # As where only the last layers were trained: the statistics are those of another task.
    other = replace(norm, mean=norm.mean + 2 * np.sqrt(norm.variance), variance=norm.variance / 3)
    assert [find_misfit(other, discs, spec) for spec in USUAL] == [None] * 4


def test_first_norm_dead_channel_contradicts_nothing(discs: ImageSet) -> None:
    def with_dead_channel(images: NDArray[np.float32]) -> NDArray[np.float32]:
        found = norm.activations(images)
        return np.concatenate([found, np.zeros_like(found[:, :1])], axis=1)

    norm = trained_on(discs, SPEC)
    dead = FirstNorm(
        with_dead_channel, np.append(norm.mean, 0), np.append(norm.variance, 0), norm.epsilon
    )
    assert dead.distance(discs, SPEC) == pytest.approx(norm.distance(discs, SPEC) * 12 / 13)


def test_find_first_norm_without_one_or_with_it_folded_is_none() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    late = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Flatten())
    for network in (plain, late):
        graph = onnx.load_from_string(export(network.eval(), "plain", 32, 32))
        assert find_first_norm(graph) is None
        assert find_first_norm(source_like(graph)) is None


def source_like(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with a second reader of its image, as where a network starts with branches."""
    graph.graph.node.append(onnx.helper.make_node("Identity", ["input"], ["branch"]))
    return graph


def brightest(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network that bears any scale and offset: which channel is the brightest."""
    return np.asarray(100 * images.mean(axis=(2, 3)), np.float32)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory, colour_jpeg: Jpeg) -> ImageSet:
    folder = tmp_path_factory.mktemp("colours")
    files = []
    for number in range(30):
        name = ("red", "green", "blue")[number % 3]
        path = folder / f"{number}.jpg"
        path.write_bytes(colour_jpeg(name, seed=number))
        files.append((name, path))
    return ImageSet("colours", tuple(files), "")


def card_with(spec: InputSpec) -> ModelCard:
    return ModelCard("x", "1", ("red", "green", "blue"), spec, 0.5, None, None, None, None, None)


def ignore(*_: Any) -> None:
    pass


@pytest.mark.parametrize("advice", [[], ["give labelled images"]], ids=["labels", "none"])
def test_diagnose_wrong_normalisation_that_costs_no_label_is_refused(
    colours: ImageSet, advice: list[str]
) -> None:
    norm = trained_on(colours, USUAL[1])
    files = tuple((None if advice else label, path) for label, path in colours.files)
    images = ImageSet("colours", files, "")
    diagnose(brightest, images, card_with(USUAL[1]), ignore, norm)
    with pytest.raises(ConfigError) as caught:
        diagnose(brightest, images, card_with(USUAL[2]), ignore, norm)
    said = str(caught.value)
    assert "trained on mean 0.5 and std 0.5, not on the card's mean 0 and std 1" in said
    assert "Correct input.mean and input.std in the model card." in said
    assert [text for text in ["give labelled images"] if text in said] == advice


def test_diagnose_labels_that_fit_the_card_outweigh_the_batch_norm(colours: ImageSet) -> None:
    def fits_zero_to_one(images: NDArray[np.float32]) -> NDArray[np.float32]:
        # Behind -1 to 1 some mean is negative, and the answer is always the first class.
        means = images.mean(axis=(2, 3))
        return np.where(means.min(axis=1, keepdims=True) < 0, [[9, 0, 0]], 20 * means).astype("f4")

    norm = trained_on(colours, USUAL[1])
    assert diagnose(fits_zero_to_one, colours, card_with(USUAL[2]), ignore, norm) == []


def test_convert_unlabelled_with_wrong_normalisation_is_refused_and_with_the_right_one_is_not(
    tmp_path: Path, colours: ImageSet, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = replace(SPEC, mean=(0.5,) * 3, std=(0.5,) * 3)
    torch.manual_seed(5)
    network = TinyNetwork(3)
    norm = network.first[1]
    assert isinstance(norm, nn.BatchNorm2d)
    # The mean over all batches, not a moving one.
    norm.momentum = None
    for batch in image_batches(colours, spec, 15):
        network(torch.from_numpy(normalise(batch, spec)))
    torch.save(network.eval().state_dict(), tmp_path / "tiny.pt")
    images = tmp_path / "images"
    images.mkdir()
    for _, path in colours.files:
        (images / path.name).write_bytes(path.read_bytes())
    words = [str(tmp_path / "tiny.pt"), "--out", str(tmp_path / "tiny.edge")]
    for mean, code in ((0.5, 0), (0.0, 2)):
        block = {**CARD["input"], "mean": [mean] * 3, "std": [mean or 1.0] * 3}
        card = {**CARD, "input": block, "validation": "images"}
        (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(card))
        assert main([*words, "--overwrite"]) == code
    assert "trained on mean 0.5 and std 0.5" in capsys.readouterr().err


Cells8 = tuple[FirstNorm, ImageSet, ModelCard]


@pytest.fixture(scope="module")
def cells8(pbc: Path) -> Cells8:
    """The reference model's batch norm and all native validation images."""
    card = read_card(REFERENCE / "cells8.yaml")
    images = load_images(pbc / "val", card.classes)
    (samples,) = image_batches(evenly(images, 2), card.input, 2)
    norm = find_first_norm(open_model(REFERENCE / "cells8.pt", card, samples).graph)
    assert norm is not None
    return norm, images, card


@pytest.mark.parametrize("count", [8, 40, 160, 655])
def test_find_misfit_of_the_reference_model_sees_each_wrong_normalisation(
    cells8: Cells8, count: int
) -> None:
    norm, images, card = cells8
    some = evenly(images, count)
    assert find_misfit(norm, some, card.input) is None
    for wrong in (NORMALISATIONS[0], NORMALISATIONS[2]):
        misfit = find_misfit(norm, some, replace(card.input, mean=wrong[0], std=wrong[1]))
        assert misfit is not None
        assert misfit.other.fits == "mean 0.5 and std 0.5"


def test_find_misfit_of_the_reference_model_blames_no_right_card(cells8: Cells8, pbc: Path) -> None:
    norm, images, card = cells8
    for cell_class in card.classes:
        files = tuple(file for file in images.files if file[0] == cell_class)
        assert find_misfit(norm, ImageSet(cell_class, files, ""), card.input) is None
    for laboratory in ("raabin", "bccd"):
        folder = pbc.parent / "other-labs" / laboratory
        if folder.is_dir():
            assert find_misfit(norm, load_images(folder), card.input) is None


def test_diagnose_reference_model_behind_wrong_normalisation_is_refused_on_few_images(
    cells8: Cells8,
) -> None:
    norm, images, card = cells8
    (samples,) = image_batches(evenly(images, 2), card.input, 2)
    source = open_model(REFERENCE / "cells8.pt", card, samples)
    infer = open_at_any_size(source.graph)
    few = evenly(images, 40)
    mean, std = NORMALISATIONS[0]
    diagnose(infer, few, card, ignore, norm)
    with pytest.raises(ConfigError, match=r"mean 0\.5 and std 0\.5"):
        diagnose(
            infer, few, replace(card, input=replace(card.input, mean=mean, std=std)), ignore, norm
        )
