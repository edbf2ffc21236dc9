"""Tests for converters.familiarity: a reference is fitted to images of a laboratory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.familiarity.fit import LEAST_IMAGES
from converters.familiarity.laboratory import images_of_laboratory, learn_laboratory
from converters.inputs.image_set import ImageSet, draw_images
from edge.trust.reference import read_reference
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
