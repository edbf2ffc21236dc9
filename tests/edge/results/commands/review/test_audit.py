"""Tests for edge-results audit: a real site, reviewed through its desk."""

from __future__ import annotations

import csv
import hashlib
import json
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from converters.inputs.image_set import load_images
from edge.errors import ConfigError
from edge.results.cli import main
from edge.results.document.result import CELL_CLASSES, Person
from edge.results.review.desk.desk import Desk
from edge.results.review.record.entry import Action
from edge.results.review.record.record import Record
from tests.support.machine import mounts
from tests.support.review_entries import draft
from tests.support.review_site import MINA, CellSpec, ReviewSite

Run = Callable[..., str]
CELLS = [CellSpec("neutrophil")] * 4 + [CellSpec("lymphocyte", 0.6)] * 2 + [CellSpec(None, 0.3)]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object, exit_code: int = 0) -> str:
        assert main(["audit", *map(str, arguments)]) == exit_code
        shown = capsys.readouterr()
        return shown.out if exit_code in {0, 6} and shown.out else shown.err

    return call


@pytest.fixture
def site(tmp_path: Path) -> ReviewSite:
    """One slide: two lymphocytes corrected, an unidentified cell signed as an artefact."""
    site = ReviewSite(tmp_path)
    site.add_slide("S000123", CELLS)
    sign(site)
    return site


def sign(site: ReviewSite, by: Person = MINA) -> None:
    """One lymphocyte becomes ig, one monocyte, what is unidentified an artefact; then signed."""
    config = site.config
    with Desk.open(config.slides, config.review, config.state_dir) as desk:
        (row,) = desk.slides(by)["slides"]

        def decide(cells: list[dict[str, Any]], label: str | None) -> None:
            if not cells:
                return
            shown = [{"id": one["id"], "before": one["label"]} for one in cells]
            body = {"request": secrets.token_hex(16), "action": "decide"}
            desk.decide(by, "system", row["key"], {**body, "cells": shown, "label": label})

        cells = desk.slide(by, row["key"])["cells"]
        of = {label: [c for c in cells if c["label"] == label] for label in (*CELL_CLASSES, None)}
        decide(of["neutrophil"], None)
        decide(of["lymphocyte"][:1], "ig")
        decide(of["lymphocyte"][1:], "monocyte")
        decide(of[None], "artefact")
        digest = desk.differential_job(by, row["key"])()["digest"]
        seen = {**desk.entry(row["key"]), "shown": digest}
        body = {"request": secrets.token_hex(16), "reason": None, **seen}
        desk.sign(by, "system", row["key"], body)


def test_audit_of_a_signed_slide_shows_who_and_what_and_the_head(
    site: ReviewSite, run: Run
) -> None:
    text = run("--config", site.config_file)
    with Record.open(site.state) as record:
        number, hash_ = record.head()
    assert f"record: {number} entries, each as it was recorded" in text
    assert f"head {number}:{hash_}\n" in text
    assert "no independent accuracy" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "mm Dr. Mina Müller 1 0 7 3" in lines
    assert "neutrophil 4 4 100.0 % 39.8 to 100.0" in lines
    assert "lymphocyte 2 0 0.0 % 0.0 to 84.2 ig 1, monocyte 1" in lines
    assert "unidentified 1 artefact 1" in lines
    assert "ig 1 0 0.0 % 0.0 to 97.5 lymphocyte 1" in lines
    assert "artefact 1 0 0.0 % 0.0 to 97.5 unidentified 1" in lines
    assert "aaaaaaaaaaaa 1 7 4 66.7 % 22.3 to 95.7 1" in lines
    assert "aaaaaaaaaaaa 100 % of 4 - - 0 % of 2 - - - -" in lines


def test_audit_of_a_signature_whose_file_is_not_written_yet_tells_it(
    site: ReviewSite, run: Run
) -> None:
    with Record.open(site.state) as record:
        record.append(draft(Action.SIGN))
    text = run("--config", site.config_file)
    assert "1 signature without a verification file yet" in text


def test_audit_as_json_says_the_same(site: ReviewSite, run: Run) -> None:
    found = json.loads(run("--config", site.config_file, "--json"))
    assert (found["problems"], found["signatures_without_file"]) == ([], 0)
    assert found["people"][0]["corrected"] == 3
    agreed = found["agreement"]["agreed"]
    assert (agreed["count"], agreed["total"]) == (4, 6)
    assert found["agreement"]["unidentified"] == {"artefact": 1}
    assert [one["slides"] for one in found["weeks"]] == [1]
    assert [one["bundle_sha256"] for one in found["models"]] == ["a" * 64]


def test_audit_by_the_state_folder_finds_the_verifications_by_their_option(
    site: ReviewSite, run: Run
) -> None:
    at = ("--state", site.state, "--verifications", site.verifications)
    assert "each as it was recorded" in run(*at)
    text = run("--state", site.state, exit_code=6)
    assert "PROBLEM the folder of the verification files is not there" in text


def test_audit_of_a_tampered_record_ends_with_6_after_printing_everything(
    site: ReviewSite, run: Run
) -> None:
    with closing(sqlite3.connect(site.state / "reviews.sqlite3")) as db:
        db.execute("DROP TRIGGER entry_stays")
        db.execute("UPDATE entry SET content = replace(content, '0.97', '0.79') WHERE number = 1")
        db.commit()
    text = run("--config", site.config_file, exit_code=6)
    assert "PROBLEM made, changed or removed in the database: entry_stays" in text
    assert "PROBLEM entry 1: its content does not give its hash" in text
    assert "Agreement of the model and the people on 7 cells" in text
    assert "S000123" not in text
    assert "head " not in text
    found = json.loads(run("--config", site.config_file, "--json", exit_code=6))
    assert len(found["problems"]) == 2


def test_audit_of_a_verification_file_that_was_edited_ends_with_6(
    site: ReviewSite, run: Run
) -> None:
    (file,) = site.verifications.iterdir()
    file.write_bytes(file.read_bytes().replace(b'"artefact"', b'"other"'))
    text = run("--config", site.config_file, exit_code=6)
    assert "the verification file of signature" in text
    assert "was changed" in text


def test_anchor_fits_until_the_chain_is_another_one(site: ReviewSite, run: Run) -> None:
    with Record.open(site.state) as record:
        number, hash_ = record.head()
        record.append(draft())
    text = run("--config", site.config_file, "--anchor", f"{number}:{hash_[:12]}")
    assert f"anchor {number}:{hash_[:12]} fits; 1 entry since" in text
    other = f"{number}:{'0' * 64}"
    assert "its hash is not that of the anchor" in run(
        "--config", site.config_file, "--anchor", other, exit_code=6
    )


def test_audit_before_any_review_says_so(tmp_path: Path, run: Run) -> None:
    site = ReviewSite(tmp_path)
    assert "nothing was reviewed yet" in run("--config", site.config_file)
    assert not site.state.exists()
    site.state.mkdir()
    assert "nothing was reviewed yet" in run("--state", site.state)
    assert json.loads(run("--state", site.state, "--json"))["entries"] == 0
    text = run("--state", site.state, "--anchor", f"3:{'a' * 12}", exit_code=6)
    assert "has no record, but an anchor" in text
    assert list(site.state.iterdir()) == []


def test_audit_of_a_time_without_signatures_says_so(site: ReviewSite, run: Run) -> None:
    assert "no signature in this time" in run("--config", site.config_file, "--until", "2020-01-01")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "give --config FILE, or --state DIR"),
        (["--state", "nowhere"], "is no folder"),
        (["--state", ".", "--since", "2026-02-02", "--until", "2026-02-01"], "since is after"),
        (["--state", ".", "--all"], "belong to --export"),
        (["--state", ".", "--config", "x"], "--config names all folders"),
    ],
)
def test_audit_used_wrongly_says_what_is_needed(
    arguments: list[str], text: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert text in run(*arguments, exit_code=2)


@pytest.mark.parametrize(
    "arguments", [["--since", "2026-2-1"], ["--since", "20260201"], ["--anchor", "5:abc"]]
)
def test_audit_with_a_value_of_another_form_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["audit", "--state", ".", *arguments])
    assert arguments[1] in capsys.readouterr().err


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
