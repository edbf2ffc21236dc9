"""The demonstration's last step: the configuration, and the page with its sender."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge.demo.drawing.cells import CLASSES
from edge.demo.review import newest_workspace, write_results_config
from edge.demo.run import Workspace
from edge.results.formats.shipped.table import FORMATS
from edge.results.send.config import load_send_config
from tests.support.errors_bundle import evidence, perfect_rows, write_errors_bundle
from tests.support.review_site import CellSpec, ReviewSite
from tests.support.waiting import until


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A demonstration that has labelled three cells."""
    made = Workspace(tmp_path / "20261128-120000")
    site = ReviewSite(made.root)
    site.add_slide("S1", [CellSpec("neutrophil")] * 3)
    write_errors_bundle(made.bundle, evidence({"model.int8.onnx": perfect_rows(50)}), {})
    return made


def test_newest_demonstration_with_labelled_images_is_taken(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "20261128-130000" / "export").mkdir(parents=True)
    found = newest_workspace(tmp_path)
    assert found is not None
    assert found.root == workspace.root
    assert newest_workspace(tmp_path / "absent") is None


def test_configuration_is_taken_by_send_and_has_reference_cells_of_every_class(
    workspace: Workspace,
) -> None:
    config = load_send_config(write_results_config(workspace), FORMATS)
    assert config.slides.sidecars == workspace.export
    assert config.review.reference is not None
    assert {one.name for one in config.review.reference.iterdir()} == set(CLASSES)
    assert all(any(one.glob("*.jpg")) for one in config.review.reference.iterdir())


def test_page_and_sender_run_until_a_person_ends_them(workspace: Workspace, tmp_path: Path) -> None:
    if not Path(sys.executable).with_name("edge-results").is_file():
        pytest.skip("edge-results is not installed beside this Python")
    argv = [sys.executable, "-m", "edge.demo", "--review", "--no-browser", "--out", str(tmp_path)]
    log = tmp_path / "log"
    with log.open("wb") as output:
        demo = subprocess.Popen(argv, stdout=output, stderr=output, start_new_session=True)
    try:
        until(lambda: re.search(r"http://127\.0\.0\.1:\d+/enter", log.read_text()), timeout_s=60)
        until((workspace.root / "results" / "issued.sqlite3").exists)
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(60) in {0, 130, 143}
    finally:
        demo.kill()
        demo.wait()
    assert "Traceback" not in log.read_text()
