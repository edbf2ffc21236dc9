from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.backends.select import open_session
from edge.bundle import load_bundle, seal
from edge.errors import BackendError, RejectReason, TransientError
from edge.golden import open_labeller
from edge.image_files.limits import ImageLimits
from edge.labeller import Labeller, Outcome
from edge.session import Inferred
from edge.status import Status
from tests.support.images import Jpeg


@pytest.fixture
def labeller(small_bundle: Path) -> Labeller:
    bundle = load_bundle(small_bundle)
    return open_labeller(bundle, open_session(bundle))


def test_label_gives_label_facts_and_times(
    labeller: Labeller, tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(colour_jpeg("green"))
    outcome = labeller.label(path)
    assert outcome.status is Status.LABELLED
    assert outcome.decision is not None
    assert outcome.decision.label == "green"
    assert outcome.image.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (outcome.image.width_px, outcome.image.height_px) == (64, 64)
    steps = outcome.timing_ms
    assert steps.total == pytest.approx(steps.decode + steps.preprocess + steps.infer)
    assert steps.decode > 0


def test_label_of_ambiguous_image_is_unidentified(labeller: Labeller, tmp_path: Path) -> None:
    import simplejpeg

    grey = np.full((64, 64, 3), 128, np.uint8)
    (tmp_path / "a.jpg").write_bytes(simplejpeg.encode_jpeg(grey))
    assert labeller.label(tmp_path / "a.jpg").status is Status.UNIDENTIFIED


def test_label_batch_with_bad_images_labels_the_others_in_order(
    labeller: Labeller, tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    contents = {"a": colour_jpeg("red"), "b": colour_jpeg("blue")[:-50], "d": colour_jpeg("blue")}
    for name, content in contents.items():
        (tmp_path / f"{name}.jpg").write_bytes(content)
    results = labeller.label_batch([tmp_path / f"{name}.jpg" for name in "abcd"])
    first, cut, gone, last = results
    assert isinstance(first, Outcome)
    assert first.decision
    assert first.decision.label == "red"
    assert isinstance(cut, Outcome)
    assert cut.reason is RejectReason.TRUNCATED
    assert cut.image.sha256 == hashlib.sha256(contents["b"]).hexdigest()
    assert isinstance(gone, TransientError)
    assert isinstance(last, Outcome)
    assert last.decision
    assert last.decision.label == "blue"


def test_label_of_empty_file_keeps_its_size_and_time(labeller: Labeller, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    outcome = labeller.label(tmp_path / "a.jpg")
    assert outcome.reason is RejectReason.EMPTY
    assert outcome.image.size_bytes == 0
    assert outcome.image.modified is not None


def test_label_batch_larger_than_the_session_takes_is_split(
    labeller: Labeller, tmp_path: Path, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(labeller.session), "max_batch", 2)
    names = ["red", "green", "blue", "red", "green"]
    paths = []
    for number, name in enumerate(names):
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes(colour_jpeg(name))
    outcomes = labeller.label_batch(paths)
    assert [o.decision.label for o in outcomes if isinstance(o, Outcome) and o.decision] == names


def test_label_of_missing_file_raises_transient(labeller: Labeller, tmp_path: Path) -> None:
    with pytest.raises(TransientError):
        labeller.label(tmp_path / "gone.jpg")


def test_open_labeller_with_narrow_limits_still_checks_its_golden_images(
    small_bundle: Path, tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    bundle = load_bundle(small_bundle)
    labeller = open_labeller(bundle, open_session(bundle), ImageLimits(max_bytes=100))
    (tmp_path / "a.jpg").write_bytes(colour_jpeg())
    assert labeller.label(tmp_path / "a.jpg").reason is RejectReason.TOO_LARGE


def set_temperature(root: Path, temperature: dict[str, float]) -> None:
    path = root / "manifest.json"
    content = json.dumps({**json.loads(path.read_bytes()), "temperature": temperature}).encode()
    path.write_bytes(content)
    (root / "manifest.sha256").write_bytes(seal(content))


def confidence_with(root: Path, image: Path, precision: str) -> float:
    bundle = load_bundle(root)
    labeller = open_labeller(bundle, open_session(bundle, precision=precision))
    decision = labeller.label(image).decision
    assert decision is not None
    assert decision.label == "green"
    return decision.confidence


def test_open_labeller_takes_the_temperature_of_the_graph_that_runs(
    small_bundle: Path, tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    """Golden logits are compared before it, so that no temperature hides or causes a deviation."""
    image = tmp_path / "a.jpg"
    image.write_bytes(colour_jpeg("green"))
    plain = confidence_with(small_bundle, image, "int8")
    set_temperature(small_bundle, {"model.int8.onnx": 20.0})
    assert confidence_with(small_bundle, image, "fp32") == plain
    assert confidence_with(small_bundle, image, "int8") < 0.6 < plain


class BrokenSession:
    """Fake at the hardware border: a device that gives wrong numbers."""

    backend = "fake"
    precision = "int8"
    graph = ""
    max_batch = 8

    def __init__(self, logits: list[float]) -> None:
        self.closed = False
        self._row = np.array(logits, np.float32)

    def infer(self, images: NDArray[np.uint8]) -> Inferred:
        return Inferred(np.repeat(self._row[None], len(images), axis=0))

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("logits", [[1, 9, 1], [float("nan")] * 3, [21, 12, 4]])
def test_open_labeller_with_device_giving_wrong_logits_refuses_and_closes(
    small_bundle: Path, logits: list[float]
) -> None:
    session = BrokenSession(logits)
    with pytest.raises(BackendError):
        open_labeller(load_bundle(small_bundle), session)
    assert session.closed
