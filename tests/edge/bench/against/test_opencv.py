from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.bench.against.opencv import open_opencv
from edge.bundle import Bundle, load_bundle
from edge.errors import BackendError
from tests.support.engine_bundle import put, write_manifest
from tests.support.images import Jpeg
from tests.support.laboratory import fitted
from tests.support.small_bundle import write_small_bundle


def test_opencv_gives_our_labels_and_keeps_the_process_threads(
    bundle: Bundle, images: list[Path]
) -> None:
    before = cv2.getNumThreads()
    contender = open_opencv("opencv", bundle, 1)
    assert [contender.label(path) for path in images[:3]] == ["red", "green", "blue"]
    assert cv2.getNumThreads() == before


def test_opencv_gives_a_batch_and_its_features(tmp_path: Path, colour_jpeg: Jpeg) -> None:
    reference = fitted().reference.to_bytes()
    root = write_small_bundle(tmp_path / "small.edge", colour_jpeg, reference=reference)
    contender = open_opencv("opencv", load_bundle(root), 1)
    batch = np.zeros((2, 16, 16, 3), np.uint8)
    batch[1] = (200, 100, 0)
    found = contender.session.infer(batch)
    np.testing.assert_allclose(found.logits, [[0, 0, 0], [20, 10, 0]], atol=1e-4)
    assert found.features is not None
    np.testing.assert_allclose(found.features[1], [200, 100, 0], atol=1e-3)


def test_graph_that_opencv_cannot_read_is_refused_in_a_line(small_bundle: Path) -> None:
    manifest = load_bundle(small_bundle).manifest
    facts = {"precision": "fp32", "requires": {"backend": "onnxruntime"}}
    put(small_bundle, manifest, "model.fp32.onnx", b"no graph", role="model", **facts)
    write_manifest(small_bundle, manifest)
    with pytest.raises(BackendError, match=r"OpenCV .* cannot read the graph"):
        open_opencv("opencv", load_bundle(small_bundle), 1)
