"""Which card is contradicted by labelled images, and which is not, though another fits too."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from converters.card_check.core import open_at_any_size
from converters.card_check.diagnosis import diagnose
from converters.card_check.evaluator import MAX_IMAGES, Infer, choose_images
from converters.card_check.first_norm import FirstNorm, find_first_norm
from converters.inputs.card import ModelCard, read_card
from converters.inputs.image_set import ImageSet, image_batches, load_images
from converters.loading.checkpoint import open_model
from edge.errors import ConfigError, ModelError
from edge.preprocess import InputSpec

REFERENCE = Path("converters/reference")
COLOURS = {"brick": (200, 80, 50), "ochre": (190, 150, 60), "plum": (120, 50, 110)}
SPEC = InputSpec(16, 16, "rgb", "area", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CARD = ModelCard("plain", "1", tuple(COLOURS), SPEC, 0.5, None, None, None, None, None)


def nearest_colour(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network that was trained on RGB scaled to -1..1."""
    means = images.mean(axis=(2, 3))[:, None]
    trained = np.array(list(COLOURS.values())) / 127.5 - 1
    return np.asarray(-20 * ((means - trained) ** 2).sum(axis=2), np.float32)


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    folder = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(1)
    files = []
    for number in range(60):
        name = list(COLOURS)[number % 3]
        image = (
            np.array(COLOURS[name]) + rng.normal(0, 12, (1, 1, 3)) + rng.normal(0, 9, (32, 32, 3))
        )
        path = folder / f"{number}.png"
        bgr = np.clip(image[..., ::-1], 0, 255).astype(np.uint8)
        path.write_bytes(cv2.imencode(".png", bgr)[1].tobytes())
        files.append((name, path))
    return ImageSet("colours", tuple(files), "")


def ignore(*_: Any) -> None:
    pass


def refusal(
    images: ImageSet,
    card: ModelCard,
    infer: Infer = nearest_colour,
    norm: FirstNorm | None = None,
) -> str:
    with pytest.raises(ConfigError) as caught:
        diagnose(infer, images, card, ignore, norm)
    return str(caught.value)


def test_diagnose_sound_card_says_nothing_and_tries_nothing_else(colours: ImageSet) -> None:
    tried: list[int] = []

    def infer(images: NDArray[np.float32]) -> NDArray[np.float32]:
        tried.append(len(images))
        return nearest_colour(images)

    diagnose(infer, colours, CARD, ignore)
    assert sum(tried) == len(colours.files)


def test_diagnose_without_labels_runs_nothing(colours: ImageSet) -> None:
    unlabelled = ImageSet("x", tuple((None, path) for _, path in colours.files), "")
    wrong = replace(CARD, input=replace(SPEC, channels="bgr"))
    diagnose(lambda _: pytest.fail("was run"), unlabelled, wrong, ignore)


def test_diagnose_swapped_channels_names_them_the_figures_and_the_key(colours: ImageSet) -> None:
    said = refusal(colours, replace(CARD, input=replace(SPEC, channels="bgr")))
    assert "fit channels: rgb better than the card's bgr" in said
    assert "accuracy 100.0% instead of" in said
    assert "on 60 images" in said
    assert "Correct input.channels" in said


def test_diagnose_wrong_normalisation_names_the_cards_and_the_keys(colours: ImageSet) -> None:
    wrong = replace(SPEC, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    said = refusal(colours, replace(CARD, input=wrong))
    assert "mean 0.5 and std 0.5" in said
    assert "better than the card's mean 0 and std 1" in said
    assert "orrect input.mean and input.std in the model card" in said


CAFFE = np.array([103.939, 116.779, 123.68], np.float32)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        pytest.param(
            lambda rgb: rgb * 255, "mean 0 and std 0.003922 (1/255: values 0 to 255)", id="bytes"
        ),
        pytest.param(
            lambda rgb: rgb[:, ::-1] * 255,
            "channels: bgr, mean 0 and std 0.003922 (1/255: values 0 to 255)",
            id="bgr_bytes",
        ),
        pytest.param(
            lambda rgb: rgb[:, ::-1] * 255 - CAFFE[:, None, None],
            "values 0 to 255 less [103.9, 116.8, 123.7]",
            id="caffe",
        ),
        pytest.param(lambda rgb: rgb, "mean 0 and std 1", id="0_to_1"),
    ],
)
def test_diagnose_network_that_wants_other_values_names_them(
    colours: ImageSet, wanted: Any, said: str
) -> None:
    trained = np.array(list(COLOURS.values()), np.float32)[:, :, None, None] / 255
    anchors = wanted(trained)[..., 0, 0]

    def infer(images: NDArray[np.float32]) -> NDArray[np.float32]:
        means = images.mean(axis=(2, 3))[:, None]
        spread = anchors.std() / 4
        return np.asarray(-(((means - anchors) / spread) ** 2).sum(axis=2), np.float32)

    imagenet = replace(SPEC, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert said in refusal(colours, replace(CARD, input=imagenet), infer)


def test_diagnose_two_rare_classes_swapped_is_seen_among_many_right_images(
    colours: ImageSet,
) -> None:
    rare = [f for f in colours.files if f[0] != "plum"][:12]
    common = [f for f in colours.files if f[0] == "plum"] * 10
    images = ImageSet("uneven", (*rare, *common), "")
    said = refusal(images, replace(CARD, classes=("ochre", "brick", "plum")))
    assert "brick is ochre, ochre is brick" in said
    assert "validation folders" in said


def test_diagnose_unknown_label_names_it(colours: ImageSet) -> None:
    assert "'plum'" in refusal(colours, replace(CARD, classes=("brick", "ochre")))


def test_diagnose_network_that_guesses_is_refused_whatever_the_card(colours: ImageSet) -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(ModelError, match=r"does not recognise .* on 60 images, 60% is needed"):
        diagnose(
            lambda images: rng.normal(size=(len(images), 3)).astype(np.float32),
            colours,
            CARD,
            ignore,
        )


def test_diagnose_constant_network_names_its_only_label(colours: ImageSet) -> None:
    def infer(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.tile(np.array([0, 3, 1], np.float32), (len(images), 1))

    with pytest.raises(ModelError, match="every validation image the label ochre"):
        diagnose(infer, colours, CARD, ignore)


def test_diagnose_mediocre_network_on_its_own_input_is_accepted(colours: ImageSet) -> None:
    rng = np.random.default_rng(4)

    def infer(images: NDArray[np.float32]) -> NDArray[np.float32]:
        noise = rng.normal(0, 3, (len(images), 3))
        return np.asarray(nearest_colour(images) + noise, np.float32)

    assert diagnose(infer, colours, CARD, ignore) == []


def test_choose_images_takes_classes_in_turn_and_keeps_rare_ones(colours: ImageSet) -> None:
    bricks = [f for f in colours.files if f[0] == "brick"]
    plums = [f for f in colours.files if f[0] == "plum"][:5]
    chosen, labels = choose_images(ImageSet("x", (*bricks * 50, *plums), ""), CARD.classes)
    assert len(chosen.files) == MAX_IMAGES
    assert labels[:6].tolist() == [0, 2, 0, 2, 0, 2]
    assert (labels == 2).sum() == 5


@pytest.fixture(scope="module")
def opened(pbc: Path) -> tuple[Infer, ImageSet, ModelCard, FirstNorm]:
    """The reference model, 20 real images of each class, and the model's first batch norm."""
    card = read_card(REFERENCE / "cells8.yaml")
    every = load_images(pbc / "val", card.classes)
    files = [f for c in card.classes for f in [g for g in every.files if g[0] == c][:20]]
    images = ImageSet("val", tuple(files), "")
    (samples,) = image_batches(ImageSet("", images.files[:2], ""), card.input, 2)
    source = open_model(REFERENCE / "cells8.pt", card, samples)
    norm = find_first_norm(source.graph)
    assert norm is not None
    return open_at_any_size(source.graph), images, card, norm


@pytest.fixture(scope="module")
def cells8(
    opened: tuple[Infer, ImageSet, ModelCard, FirstNorm],
) -> tuple[Infer, ImageSet, ModelCard]:
    return opened[:3]


def test_diagnose_reference_model_on_real_images_is_sound(
    cells8: tuple[Infer, ImageSet, ModelCard],
) -> None:
    assert diagnose(*cells8, ignore) == []


@pytest.mark.parametrize("laboratory", ["raabin", "bccd"])
def test_diagnose_right_card_is_not_blamed_for_images_of_another_laboratory(
    cells8: tuple[Infer, ImageSet, ModelCard], pbc: Path, laboratory: str
) -> None:
    infer, _, card = cells8
    folder = pbc.parent / "other-labs" / laboratory
    if not folder.is_dir():
        pytest.skip("the shared images of other laboratories are not beside this checkout")
    # That the model does not recognise them may be said; a ConfigError would name the card.
    with suppress(ModelError):
        diagnose(infer, load_images(folder, card.classes), card, ignore)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"channels": "bgr"}, "channels: rgb", id="bgr"),
        pytest.param(
            {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
            "mean 0.5 and std 0.5",
            id="mean_and_std",
        ),
        pytest.param({"mean": (0.0,) * 3, "std": (1.0,) * 3}, "mean 0.5 and std 0.5", id="0_and_1"),
    ],
)
def test_diagnose_reference_model_with_wrong_input_names_it(
    opened: tuple[Infer, ImageSet, ModelCard, FirstNorm], changes: dict[str, Any], said: str
) -> None:
    infer, images, card, norm = opened
    wrong = replace(card, input=replace(card.input, **changes))
    assert said in refusal(images, wrong, infer, norm)


def test_diagnose_reference_model_with_sorted_classes_says_which_is_which(
    cells8: tuple[Infer, ImageSet, ModelCard],
) -> None:
    infer, images, card = cells8
    said = refusal(images, replace(card, classes=tuple(sorted(card.classes))), infer)
    assert "neutrophil is erythroblast" in said
