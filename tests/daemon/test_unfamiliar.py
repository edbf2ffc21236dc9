"""Tests for the daemon with a bundle that has a reference of the laboratory."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.demo.analyzer import drawn_images
from tests.support.images import Jpeg
from tests.support.laboratory import NEW_SEED, fitted
from tests.support.site import Site
from tests.support.small_bundle import write_small_bundle
from tests.support.waiting import until


@pytest.mark.parametrize(
    ("unfamiliar", "status", "label"),
    [("unidentified", "unidentified", None), ("note", "labelled", "red")],
)
def test_run_gives_an_unfamiliar_image_no_label_or_a_note(
    tmp_path: Path, colour_jpeg: Jpeg, unfamiliar: str, status: str, label: str | None
) -> None:
    reference = fitted().reference.to_bytes()
    bundle = write_small_bundle(tmp_path / "small.edge", colour_jpeg, reference=reference)
    (tmp_path / "export").mkdir()
    (tmp_path / "results").mkdir()
    settings = {
        "bundle": str(bundle),
        "backend": "onnxruntime",
        "watch": [{"folder": "export"}],
        "results": {"folder": "results"},
        "settle_s": 0.1,
        "rescan_s": 0.5,
        "poll": "never",
        "state_dir": "state",
        "unfamiliar": unfamiliar,
    }
    site = Site(tmp_path, settings)
    with site.running():
        site.add("strange.jpg", colour_jpeg("red"))
        site.add("drawn.jpg", next(iter(drawn_images(1, NEW_SEED)))[1])
        until(lambda: site.has_sidecar("strange.jpg") and site.has_sidecar("drawn.jpg"))
        until(lambda: site.outcomes()["strange.jpg"][0] == "done")
    strange, drawn = site.sidecar("strange.jpg"), site.sidecar("drawn.jpg")
    assert (strange["status"], strange["label"]) == (status, label)
    assert strange["familiarity"]["passes"] is False
    assert strange["familiarity"]["reason"]
    assert site.outcomes()["strange.jpg"][1:3] == (status, label)
    assert drawn["familiarity"]["passes"] is True
    assert drawn["familiarity"]["reason"] is None
