from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edge.bench.against.contenders import open_contenders
from edge.bench.against.openvino import open_openvino
from edge.bundle import Bundle, load_bundle
from edge.errors import BackendError
from tests.support.images import Jpeg
from tests.support.laboratory import fitted
from tests.support.small_bundle import write_small_bundle


@pytest.mark.usefixtures("_libraries")
@pytest.mark.parametrize("subject", ["openvino", "openvino-int8"])
def test_openvino_gives_our_labels(bundle: Bundle, images: list[Path], subject: str) -> None:
    opened = open_contenders([subject], bundle, images, on_step=lambda _: None)
    (entry,) = opened.entries
    assert entry.why_not is None
    assert entry.labels_equal == len(images)
    assert entry.version == f"OpenVINO 2026.4.1, model.{subject[9:] or 'fp32'}.onnx"
    opened.close()


@pytest.mark.usefixtures("_libraries")
def test_openvino_gives_a_batch_that_a_later_one_does_not_change(
    tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    reference = fitted().reference.to_bytes()
    root = write_small_bundle(tmp_path / "small.edge", colour_jpeg, reference=reference)
    session = open_openvino("openvino", load_bundle(root), 1).session
    first = session.infer(np.full((2, 16, 16, 3), 100, np.uint8))
    session.infer(np.full((2, 16, 16, 3), 7, np.uint8))
    np.testing.assert_allclose(first.logits, np.full((2, 3), 10.0), atol=1e-4)
    assert first.features is not None
    np.testing.assert_allclose(first.features, np.full((2, 3), 100.0), atol=1e-3)


def test_openvino_that_is_not_installed_is_named(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match="pip install openvino"):
        open_openvino("openvino", bundle, 1)
