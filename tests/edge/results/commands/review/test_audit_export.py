"""Tests for the export of edge-results audit: a labelled folder of signed cells."""

from __future__ import annotations

import csv
import hashlib
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from converters.inputs.image_set import load_images
from edge.errors import ConfigError
from edge.results.document.result import CELL_CLASSES
from tests.edge.results.commands.review.conftest import Run, sign
from tests.support.machine import mounts
from tests.support.review_site import CellSpec, ReviewSite


def exported(folder: Path) -> dict[str, str]:
    """Names below the folder, and the hashes of the images."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".csv"]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_export_writes_the_corrected_cells_by_class_with_their_own_bytes(
    site: ReviewSite, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "out" / "cells"
    text = run("--config", site.config_file, "--export", folder)
    assert "exported 2 images: ig 1, monocyte 1" in text
    assert "left out 1 cell signed as artefact or other; --all-labels" in text
    files = exported(folder)
    assert all(Path(name).stem == sha256[:20] for name, sha256 in files.items())
    assert Counter(Path(name).parent.name for name in files) == {"ig": 1, "monocyte": 1}
    rows = list(csv.DictReader((folder / "cells.csv").read_text().splitlines()))
    assert {row["file"]: row["sha256"] for row in rows} == files
    assert {(row["label"], row["suggested"], row["confidence"]) for row in rows} == {
        ("ig", "lymphocyte", "0.6000"),
        ("monocyte", "lymphocyte", "0.6000"),
    }
    content = (folder / "cells.csv").read_text()
    assert "S000123" not in content
    assert "Mina" not in content
    assert "mm" not in content.replace("\r", "")


def test_export_is_what_the_converter_reads_as_a_labelled_folder(
    site: ReviewSite, run: Run, tmp_path: Path
) -> None:
    run("--config", site.config_file, "--export", tmp_path / "some", "--all")
    images = load_images(tmp_path / "some", CELL_CLASSES)
    assert images.is_labelled
    assert Counter(label for label, _ in images.files) == {"neutrophil": 4, "ig": 1, "monocyte": 1}
    assert images.left_out == ("1 other file, no images by their names (.csv 1)",)


def test_export_with_all_labels_has_folders_that_a_card_with_them_takes(
    site: ReviewSite, run: Run, tmp_path: Path
) -> None:
    run("--config", site.config_file, "--export", tmp_path / "some", "--all-labels")
    with pytest.raises(ConfigError, match="'artefact' that is no class"):
        load_images(tmp_path / "some", CELL_CLASSES)
    images = load_images(tmp_path / "some", (*CELL_CLASSES, "artefact"))
    assert Counter(label for label, _ in images.files) == {"artefact": 1, "ig": 1, "monocyte": 1}


def test_export_leaves_out_images_that_are_gone_or_changed_and_counts_them(
    site: ReviewSite, run: Run, tmp_path: Path
) -> None:
    lymphocytes = sorted(site.export.rglob("IMG000[56].jpg"))
    assert len(lymphocytes) == 2
    lymphocytes[0].write_bytes(lymphocytes[0].read_bytes() + b" ")
    text = run("--config", site.config_file, "--export", tmp_path / "some")
    assert "exported 1 image: " in text
    assert "left out 1 cell: this image has changed since it was labelled" in text
    lymphocytes[1].unlink()
    text = run("--config", site.config_file, "--export", tmp_path / "none", exit_code=2)
    assert "no image to export" in text
    assert "gone from its folder" in text
    assert not (tmp_path / "none").exists()
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_export_into_a_folder_with_something_in_it_is_refused_into_an_empty_one_not(
    site: ReviewSite, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    at = ("--config", site.config_file, "--export", folder)
    assert "is there and not empty" in run(*at, exit_code=2)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    (folder / "mine.txt").unlink()
    run(*at)
    assert len(exported(folder)) == 2


def test_export_by_the_state_folder_needs_the_images(
    site: ReviewSite, run: Run, tmp_path: Path
) -> None:
    at = ("--state", site.state, "--verifications", site.verifications)
    text = run(*at, "--export", tmp_path / "some", exit_code=2)
    assert "--export needs the images" in text
    run(site.export, *at, "--export", tmp_path / "some")
    assert len(exported(tmp_path / "some")) == 2


def test_export_on_a_full_disk_leaves_nothing_and_works_when_there_is_room(
    site: ReviewSite, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    with mounts.tmpfs(tmp_path / "disk", "size=256k") as disk:
        disk.fill()
        at = ("--config", site.config_file, "--export", disk.folder / "some", "--all")
        assert "No space left" in run(*at, exit_code=6)
        assert [path.name for path in disk.folder.iterdir()] == ["filler"]
        disk.make_room()
        run(*at)
        assert len(exported(disk.folder / "some")) == 6


def test_export_of_a_tampered_record_is_refused(site: ReviewSite, run: Run, tmp_path: Path) -> None:
    with closing(sqlite3.connect(site.state / "reviews.sqlite3")) as db:
        db.execute("DROP TRIGGER head_remains")
        db.commit()
    run("--config", site.config_file, "--export", tmp_path / "some", exit_code=6)
    assert not (tmp_path / "some").exists()


def test_export_of_nothing_corrected_makes_no_folder(tmp_path: Path, run: Run) -> None:
    site = ReviewSite(tmp_path)
    site.add_slide("S1", [CellSpec("neutrophil")] * 3)
    sign(site)
    text = run("--config", site.config_file, "--export", tmp_path / "some")
    assert "exported 0 images" in text
    assert not (tmp_path / "some").exists()
