"""A card of another size than the training's: found for every kind of file, never made up."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
import yaml
from numpy.typing import NDArray
from torch import nn

from converters.card_check.aspect import squashed
from converters.card_check.core import open_at_any_size
from converters.card_check.evaluator import SpecEvaluator, choose_images
from converters.card_check.fit import Fit
from converters.card_check.sizes import better_sizes
from converters.card_check.suspicion import MIN_CROP_GAIN, MIN_SIZE_GAIN, Suspicion, judge
from converters.cli import main
from converters.inputs.card import ModelCard
from converters.inputs.image_set import ImageSet
from converters.loading.checkpoint import open_model
from converters.loading.torch_graph.export import export
from edge.errors import ConfigError, ModelError
from edge.preprocess import InputSpec
from tests.support.networks.discs import CLASSES, INPUT, draw_disc
from tests.support.networks.gratings import CLASSES as GRATINGS
from tests.support.networks.gratings import SPEC as GRATING_SPEC
from tests.support.networks.gratings import GratingNetwork, draw_grating, train_on_gratings

SPEC = InputSpec.from_dict(INPUT)


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    folder = tmp_path_factory.mktemp("discs")
    files = []
    for number in range(70):
        name = CLASSES[number % len(CLASSES)]
        bgr = np.ascontiguousarray(draw_disc(name, number)[..., ::-1])
        path = folder / f"{number}.png"
        path.write_bytes(cv2.imencode(".png", bgr)[1].tobytes())
        files.append((name, path))
    return ImageSet("discs", tuple(files), "")


def sized_network(discs: ImageSet, accuracy: Callable[[tuple[int, int]], float]) -> SpecEvaluator:
    """A network whose accuracy is a function of the size; it knows the images by their order."""
    chosen, labels = choose_images(discs, CLASSES)
    position, last = 0, (0, 0)

    def infer(images: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal position, last
        # A size that is given up leaves images that were not looked at.
        position = position if images.shape[2:] == last else 0
        last = images.shape[2:]
        numbers = (position + np.arange(len(images))) % len(labels)
        position = (position + len(images)) % len(labels)
        # The same images are right under every size, and more of them under a better one.
        is_right = (numbers * 37 % 70) / 70 < accuracy(images.shape[2:])
        said = np.where(is_right, labels[numbers], (labels[numbers] + 1) % len(CLASSES))
        noise = numbers % 7 * 0.1
        return np.asarray(np.eye(len(CLASSES))[said] * (4 + noise)[:, None], np.float32)

    return SpecEvaluator(infer, chosen, labels)


def sizes_found(evaluator: SpecEvaluator, spec: InputSpec) -> tuple[list[tuple[int, int]], int]:
    """Better sizes, the best first, and how many were tried."""
    tried: list[int] = []
    better = better_sizes(evaluator, evaluator.fit(spec), spec, tried.append)
    better.sort(key=lambda one: -one.fit.accuracy)
    return [one.size for one in better], len(tried)


@pytest.mark.parametrize("card", [64, 72, 96, 112, 160, 224])
def test_better_sizes_climbs_to_the_size_of_the_training(discs: ImageSet, card: int) -> None:
    evaluator = sized_network(discs, lambda size: 1 - abs(np.log(np.prod(size) / 80**2)) / 2.5)
    found, _ = sizes_found(evaluator, replace(SPEC, height=card, width=card))
    assert found[0] == (80, 80)


def test_better_sizes_of_a_card_that_fits_best_stops_after_its_neighbours(discs: ImageSet) -> None:
    evaluator = sized_network(discs, lambda size: 0.9 - abs(np.log(np.prod(size) / 80**2)) / 2)
    # Two on each side, and the four nearest oblongs.
    assert sizes_found(evaluator, replace(SPEC, height=80, width=80)) == ([], 8)


def test_better_sizes_of_a_card_that_is_nowhere_near_tries_all(discs: ImageSet) -> None:
    evaluator = sized_network(discs, lambda size: 0.95 if size == (80, 80) else 0.1)
    assert sizes_found(evaluator, replace(SPEC, height=224, width=224))[0] == [(80, 80)]


@pytest.mark.parametrize(
    ("card", "trained"),
    [((96, 80), (80, 80)), ((80, 96), (96, 80)), ((80, 80), (96, 80)), ((80, 80), (80, 64))],
)
def test_better_sizes_tries_other_proportions(
    discs: ImageSet, card: tuple[int, int], trained: tuple[int, int]
) -> None:
    evaluator = sized_network(discs, lambda size: 0.95 if size == trained else 0.7)
    spec = replace(SPEC, height=card[0], width=card[1])
    assert sizes_found(evaluator, spec)[0] == [trained]


def test_better_sizes_that_recognise_nothing_cost_few_images(discs: ImageSet) -> None:
    evaluator = sized_network(discs, lambda size: 0.95 if size == (80, 80) else 0.1)
    looked_at: dict[tuple[int, ...], int] = {}

    def infer(images: NDArray[np.float32]) -> NDArray[np.float32]:
        size = images.shape[2:]
        looked_at[size] = looked_at.get(size, 0) + len(images)
        return evaluator.infer(images)

    sizes_found(replace(evaluator, infer=infer), replace(SPEC, height=224, width=224))
    assert looked_at.pop((80, 80)) == looked_at.pop((224, 224)) == 70
    assert set(looked_at.values()) == {16}


def test_better_sizes_of_a_network_with_one_size_finds_none(discs: ImageSet) -> None:
    def accuracy(size: tuple[int, int]) -> float:
        if size != (80, 80):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return 0.8

    assert sizes_found(sized_network(discs, accuracy), replace(SPEC, height=80, width=80))[0] == []


def fit(right: int) -> Fit:
    is_right = np.arange(400) < right
    noise = np.random.default_rng(right).normal(0, 0.01, 400)
    return Fit(
        np.zeros(400, np.intp), np.where(is_right, 0, 1), np.where(is_right, 0.9, 0.1) + noise
    )


def size(right: int) -> Suspicion:
    keys, advice = "input.height and input.width", "Look up the size."
    return Suspicion(
        "input size 80x80", "96x96", keys, advice, fit(right), MIN_SIZE_GAIN, is_scale=True
    )


def crop(right: int) -> Suspicion:
    advice = "Correct input.crop in the model card."
    return Suspicion(
        "crop: 0.65", "1.0", "input.crop", advice, fit(right), MIN_CROP_GAIN, is_scale=True
    )


def norm(name: str, right: int, *, is_combined: bool = False) -> Suspicion:
    keys = "input.mean and input.std"
    return Suspicion(name, "the card's", keys, "Correct them.", fit(right), is_combined=is_combined)


def refused(*suspicions: Suspicion, found: int = 320) -> str:
    with pytest.raises(ConfigError) as caught:
        judge(suspicions, fit(found))
    return str(caught.value)


def test_judge_gains_that_random_cuts_bring_are_a_warning() -> None:
    said = judge([crop(345), size(338)], fit(320))
    assert said is not None
    assert "trained on random cuts shows that behind a right card, too" in said
    assert "look up input.height and input.width and input.crop in the training script" in said
    assert judge([crop(328)], fit(320)) is None


def test_judge_size_and_crop_that_explain_as_much_are_both_named_the_size_first() -> None:
    said = refused(crop(375), size(360))
    assert "fit input size 80x80 (accuracy 90.0%) or crop: 0.65 (accuracy 93.8%) better" in said
    assert "do not say which of them it is. Look up in the training script" in said


def test_judge_names_one_of_size_and_crop_where_it_is_far_better() -> None:
    assert "crop" not in refused(crop(340), size(380))
    assert "input size" not in refused(crop(380), size(335))
    assert "Look up the size." in refused(size(350))


def test_judge_below_recognition_refuses_a_small_gain_too() -> None:
    assert "crop: 0.65" in refused(crop(245), found=225)


def test_judge_two_wrong_entries_only_where_one_does_not_explain_it() -> None:
    assert "both" not in refused(norm("one", 380), norm("both", 384, is_combined=True))
    assert "one" not in refused(norm("first", 340), norm("both", 390, is_combined=True)).split()


def test_judge_normalisations_that_fit_alike_are_both_named() -> None:
    said = refused(norm("ImageNet's", 390), norm("the half", 388), norm("zero", 350))
    assert "fit ImageNet's (accuracy 97.5%) or the half (accuracy 97.0%) better" in said


def test_squashed_images_are_told_and_nearly_square_ones_not(discs: ImageSet) -> None:
    (said,) = squashed(discs, replace(SPEC, height=96, width=80))
    assert "96x80 (height x width) squashes images of 96x96 by 17%" in said
    assert squashed(discs, replace(SPEC, height=84, width=80)) == []


@pytest.fixture(scope="module")
def network() -> GratingNetwork:
    return train_on_gratings()


@pytest.fixture(scope="module")
def gratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gratings")
    for number in range(36):
        name = GRATINGS[number % 3]
        (folder / name).mkdir(exist_ok=True)
        content = cv2.imencode(".png", draw_grating(name, number))[1].tobytes()
        (folder / name / f"{number}.png").write_bytes(content)
    return folder


def save_state_dict(network: nn.Module, path: Path, side: int) -> None:
    assert side
    torch.save(network.state_dict(), path)


def save_torchscript(network: nn.Module, path: Path, side: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(network, torch.zeros(1, 3, side, side))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, path)


def save_onnx(network: nn.Module, path: Path, side: int) -> None:
    path.write_bytes(export(network, "gratings", side, side))


@pytest.mark.parametrize("save", [save_state_dict, save_torchscript, save_onnx])
def test_convert_with_another_size_names_that_of_the_training_and_takes_it(
    network: GratingNetwork,
    gratings: Path,
    tmp_path: Path,
    save: Callable[[nn.Module, Path, int], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [str(tmp_path / "m.pt"), "--out", str(tmp_path / "m.edge")]
    for side, code in ((64, 2), (48, 0)):
        save(network, tmp_path / "m.pt", side)
        block = {**GRATING_SPEC.to_dict(), "height": side, "width": side}
        architecture = "tests.support.networks.gratings:GratingNetwork"
        card: dict[str, object] = {
            "name": "m",
            "version": "1",
            "architecture": architecture,
            "input": block,
        }
        card |= {"classes": list(GRATINGS), "unidentified_below": 0.5, "validation": str(gratings)}
        (tmp_path / "m.yaml").write_text(yaml.safe_dump(card))
        assert main(words) == code
    said = capsys.readouterr().err
    assert "images fit input size 48x48 better than the card's 64x64 (accuracy 100.0%" in said
    assert "Look up in the training script to which size it resizes" in said


def test_export_at_any_size_holds_for_pools_that_do_not_divide_the_size() -> None:
    torch.manual_seed(0)
    pooled = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d((5, 7)), nn.Flatten(), nn.Linear(140, 3)
    ).eval()
    graph = onnx.load_from_string(export(pooled, "pooled", 32, 32, any_size=True))
    infer = open_at_any_size(graph)
    for height, width in ((32, 32), (41, 57), (9, 20)):
        images = torch.randn(2, 3, height, width)
        np.testing.assert_allclose(infer(images.numpy()), pooled(images).detach(), atol=1e-5)


def save_dynamic_onnx(network: nn.Module, path: Path, side: int) -> None:
    graph = onnx.load_from_string(export(network, "flat", side, side))
    for axis, name in ((2, "height"), (3, "width")):
        graph.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    path.write_bytes(graph.SerializeToString())


@pytest.mark.parametrize("save", [save_torchscript, save_dynamic_onnx])
def test_open_model_with_a_fixed_size_says_on_which_it_runs(
    tmp_path: Path, save: Callable[[nn.Module, Path, int], None]
) -> None:
    flat = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Flatten(), nn.Linear(1600, 7)).eval()
    save(flat, tmp_path / "flat.pt", 40)
    spec = replace(SPEC, height=48, width=48)
    card = ModelCard("flat", "1", CLASSES, spec, 0.5, None, None, None, None, None)
    with pytest.raises(ModelError, match=r"does not run .*, 48, 48\).* it runs on 40x40 \(height"):
        open_model(tmp_path / "flat.pt", card, np.zeros((2, 48, 48, 3), np.uint8))
