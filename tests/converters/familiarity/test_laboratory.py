"""Tests for converters.familiarity: a reference is fitted to images of a laboratory."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from converters.familiarity.choose import images_of_laboratory
from converters.familiarity.faults import KNOWN
from converters.familiarity.fit import LEAST_IMAGES, fit_reference
from converters.familiarity.learn import learn_laboratory
from converters.familiarity.look import Seen
from converters.inputs.image_set import ImageSet, draw_images
from edge.image_files.read import read_image
from edge.preprocess import preprocess
from edge.trust.familiarity import FamiliarityCheck
from edge.trust.reference import read_reference
from edge.trust.statistics import NAMES
from tests.support.laboratory import CLASSES, GRAPHS, SPEC, colour_session, fitted


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return draw_images(120, 5, tmp_path_factory.mktemp("drawn"))


def test_study_fits_all_graphs_and_tries_faults(drawn: ImageSet) -> None:
    steps: dict[str, tuple[int, int]] = {}

    def on_progress(step: str, done: int, total: int) -> None:
        steps[step] = (done, total)

    sessions = {path: colour_session() for path in GRAPHS}
    found = learn_laboratory(sessions, drawn, SPEC, len(CLASSES), on_progress)
    assert found.reference is not None
    assert list(found.reference.graphs) == list(GRAPHS)
    # Both run the same network, so their limits are the same.
    first, second = found.reference.graphs.values()
    assert second.residual_mean == pytest.approx(first.residual_mean)
    assert second.residual_sd == pytest.approx(first.residual_sd)
    assert found.flagged.total == 120
    assert found.flagged.count <= 2
    assert all(done == total for done, total in steps.values())
    fields = found.evidence()
    assert fields["images"] == 120
    assert fields["features"] == 3
    assert [one["score"] for one in fields["strangest"]] == sorted(
        (one["score"] for one in fields["strangest"]), reverse=True
    )
    dark = next(one for one in fields["faults"] if one["reason"] == "too_dark")
    assert dark["noticed"]["count"] == dark["named"]["count"] == dark["noticed"]["total"] == 40
    scores = found.scores(drawn.files[0][1])
    assert list(scores) == list(GRAPHS)
    assert scores[GRAPHS[0]] == pytest.approx(scores[GRAPHS[1]])


def test_study_of_the_same_images_gives_the_same_bytes(drawn: ImageSet) -> None:
    contents = set()
    for _ in range(2):
        sessions = {GRAPHS[0]: colour_session()}
        found = learn_laboratory(sessions, drawn, SPEC, len(CLASSES), lambda *_: None)
        assert found.reference is not None
        contents.add(found.reference.to_bytes())
    assert len(contents) == 1
    read_reference(contents.pop(), len(CLASSES))


def test_study_of_too_few_images_gives_none_and_says_why(drawn: ImageSet) -> None:
    few = ImageSet("a few", drawn.files[: LEAST_IMAGES - 1], "")
    sessions = {GRAPHS[0]: colour_session()}
    found = learn_laboratory(sessions, few, SPEC, len(CLASSES), lambda *_: None)
    assert found.reference is None
    assert found.absent == "a few holds 99 images, 100 of the laboratory are needed"
    assert found.evidence()["absent"] == found.absent
    assert found.scores(drawn.files[0][1]) == {}


def test_study_of_a_network_without_features_uses_the_pictures_alone(drawn: ImageSet) -> None:
    sessions = {GRAPHS[0]: colour_session(has_features=False)}
    found = learn_laboratory(sessions, drawn, SPEC, len(CLASSES), lambda *_: None)
    assert found.reference is not None
    assert found.reference.features is None
    assert found.evidence()["features"] is None
    assert found.flagged.count <= 2


def test_class_that_the_laboratory_lacks_is_filled_up_or_told(drawn: ImageSet) -> None:
    sessions = {GRAPHS[0]: colour_session()}
    predicted = [
        int(sessions[GRAPHS[0]].infer(preprocess(read_image(path), SPEC)[None]).logits.argmax())
        for _, path in drawn.files
    ]
    held = max(set(predicted), key=predicted.count)
    files = [f for f, index in zip(drawn.files, predicted, strict=True) if index == held]
    images = ImageSet("one class", tuple(files * 120)[:120], "")
    lacking = [index for index in range(len(CLASSES)) if index != held]
    found = learn_laboratory(sessions, images, SPEC, len(CLASSES), lambda *_: None)
    assert list(found.lacking) == lacking
    (said,) = found.warnings(CLASSES)
    assert all(CLASSES[index] in said for index in lacking)
    rest = [(index, f[1]) for f, index in zip(drawn.files, predicted, strict=True) if index != held]
    filled = learn_laboratory(sessions, images, SPEC, len(CLASSES), lambda *_: None, labelled=rest)
    assert filled.reference is not None
    assert filled.reference.images == 120 + sum(
        min(10, sum(index == one for index, _ in rest)) for one in lacking
    )


def test_odd_image_among_a_hundred_does_not_raise_the_limit() -> None:
    random = np.random.default_rng(4)
    statistics = random.normal(size=(100, len(NAMES))).astype(np.float32)
    plain = Seen(statistics, None, np.zeros(100, np.int64))
    odd = Seen(statistics.copy(), None, np.zeros(100, np.int64))
    odd.statistics[:2] *= 30
    limits = [
        fit_reference(seen, {}, [], graph="g", class_count=2).reference.graphs["g"].limit
        for seen in (plain, odd)
    ]
    assert limits[1] < limits[0] + 1


def test_images_that_are_one_image_give_no_reference(drawn: ImageSet) -> None:
    one = ImageSet("copies", drawn.files[:1] * 120, "")
    sessions = {GRAPHS[0]: colour_session()}
    found = learn_laboratory(sessions, one, SPEC, len(CLASSES), lambda *_: None)
    assert found.absent == "the images are all alike"


def test_grey_images_give_a_reference_without_faults_that_change_nothing(
    tmp_path: Path, drawn: ImageSet
) -> None:
    files = []
    for label, path in drawn.files:
        grey = cv2.cvtColor(cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        cv2.imwrite(str(tmp_path / path.name), grey)
        files.append((label, tmp_path / path.name))
    images = ImageSet("grey", tuple(files), "")
    found = learn_laboratory(
        {GRAPHS[0]: colour_session()}, images, SPEC, len(CLASSES), lambda *_: None
    )
    assert found.reference is not None
    # Of a stain, only light of another colour shows in them.
    assert found.reference.faults.count("stain") < sum(f.reason == "stain" for f in KNOWN)
    assert {"blurred", "too_dark", "off_centre"} <= set(found.reference.faults)


def test_image_that_is_gone_when_the_laboratory_is_learned_costs_no_conversion(
    tmp_path: Path, drawn: ImageSet
) -> None:
    gone = ImageSet("moved", (*drawn.files, (None, tmp_path / "gone.jpg")), "")
    sessions = {GRAPHS[0]: colour_session()}
    found = learn_laboratory(sessions, gone, SPEC, len(CLASSES), lambda *_: None)
    assert found.reference is None
    assert "gone.jpg could not be read" in found.absent


def test_reference_that_no_bundle_could_hold_is_none(drawn: ImageSet) -> None:
    sessions = {GRAPHS[0]: colour_session()}
    found = learn_laboratory(sessions, drawn, SPEC, 5000, lambda *_: None)
    assert found.reference is None
    assert "at most 400000 are read" in found.absent


def test_small_network_keeps_half_of_its_features_to_tell_strange_ones_by() -> None:
    random = np.random.default_rng(2)
    mixing = random.normal(size=(12, 64))

    def seen(count: int, strange: float) -> Seen:
        features = random.normal(size=(count, 12)) @ mixing + random.normal(size=(count, 64))
        features += strange * random.normal(size=(count, 64))
        statistics = random.normal(size=(count, len(NAMES))).astype(np.float32)
        return Seen(statistics, features.astype(np.float32), np.zeros(count, np.int64))

    reference = fit_reference(seen(400, 0.0), {}, [], graph="g", class_count=2).reference
    check = FamiliarityCheck(reference, "g")
    strange = seen(100, 2.0)
    assert strange.features is not None
    passed = [
        check.judge(statistics, features, 0).passes
        for statistics, features in zip(strange.statistics, strange.features, strict=True)
    ]
    assert sum(passed) == 0


def test_images_of_the_laboratory_are_the_first_set_or_all_if_it_is_small() -> None:
    def images(count: int, name: str) -> ImageSet:
        return ImageSet(name, tuple((None, Path(f"{name}{i}")) for i in range(count)), "")

    assert images_of_laboratory([images(300, "a"), images(9, "b")]).origin == "a"
    both = images_of_laboratory([images(299, "a"), images(9, "b")])
    assert (both.origin, len(both.files)) == ("a and b", 308)
    assert len(images_of_laboratory([images(5000, "a")]).files) == 1000


def test_scores_of_the_laboratory_are_of_fits_without_the_image() -> None:
    found = fitted()
    assert len(found.scores) == 200
    assert abs(float(np.median(found.scores))) < 0.5
    beyond = float((found.scores > found.reference.graphs[GRAPHS[0]].limit).mean())
    assert beyond == pytest.approx(0.01)
