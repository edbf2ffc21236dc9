"""Tests for edge-results audit: a real site, reviewed through its desk."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.results.cli import main
from edge.results.review.record.entry import Action
from edge.results.review.record.record import Record
from tests.edge.results.commands.review.conftest import Run
from tests.support.review_entries import draft
from tests.support.review_site import ReviewSite


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
