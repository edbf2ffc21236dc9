"""Tests for edge.results.issued, with a real database."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import StorageError
from edge.results.document.result import SlideResult, State
from edge.results.issued.issued import Issued
from tests.support.slide_results import START, made_result, signed

ADDING = """
import os, signal, sys
from pathlib import Path
from edge.results.issued.issued import Issued
from tests.support.slide_results import made_result
with Issued.open(Path(sys.argv[1])) as issued:
    issued.add(made_result(revision=1))
    issued.add(made_result(revision=2))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_issued_results_are_there_after_opening_again(tmp_path: Path) -> None:
    results = [made_result(), made_result(revision=2, state=State.FINAL), made_result("other")]
    with Issued.open(tmp_path / "state") as issued:
        assert [issued.add(one) for one in results] == [True, True, True]
    with Issued.open(tmp_path / "state") as issued:
        assert issued.last(results[0].slide_key) == results[1]
        assert issued.last(results[2].slide_key) == results[2]
        assert issued.get(results[0].slide_key, 1) == results[0]
        assert list(issued.revisions(results[0].slide_key)) == results[:2]
        assert issued.last("0" * 20) is None
        assert issued.get(results[0].slide_key, 3) is None


def test_add_same_result_again_changes_nothing(tmp_path: Path) -> None:
    with Issued.open(tmp_path) as issued:
        assert issued.add(made_result())
        assert not issued.add(made_result())
        assert issued.add(made_result(revision=2))
        assert not issued.add(made_result())


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (made_result(revision=3), "the last revision issued is 1"),
        (made_result(counts={"neutrophil": 1}), "that number was given to another document"),
        (
            replace(made_result(revision=2), completed=made_result().completed),
            "not completed later",
        ),
        (replace(made_result(revision=2), state=State.FINAL), "has no verification"),
    ],
)
def test_add_result_that_does_not_follow_is_refused_and_the_next_one_works(
    tmp_path: Path, result: SlideResult, text: str
) -> None:
    with Issued.open(tmp_path) as issued:
        issued.add(made_result())
        with pytest.raises(StorageError, match=text) as raised:
            issued.add(result)
        assert "S000123" not in str(raised.value)
        assert issued.add(made_result(revision=2))


def test_issued_after_sigkill_knows_every_number(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ADDING, str(tmp_path)], check=False)
    assert done.returncode == -9
    with Issued.open(tmp_path) as issued:
        last = issued.last(made_result().slide_key)
        assert last == made_result(revision=2)
        assert issued.add(made_result(revision=3))


def test_two_users_at_once_give_each_number_once(tmp_path: Path) -> None:
    with Issued.open(tmp_path) as one, Issued.open(tmp_path) as other:
        assert one.add(made_result())
        assert not other.add(made_result())
        assert other.add(made_result(revision=2))
        with pytest.raises(StorageError, match="another document"):
            one.add(made_result(revision=2, counts={"neutrophil": 2}))


@pytest.mark.parametrize("statement", ["DELETE FROM result", "UPDATE result SET document = x'00'"])
def test_issued_result_changed_by_another_program_is_refused(
    tmp_path: Path, statement: str
) -> None:
    with Issued.open(tmp_path) as issued:
        issued.add(made_result())
        with closing(sqlite3.connect(issued.path)) as other, pytest.raises(sqlite3.IntegrityError):
            other.execute(statement)
        assert issued.last(made_result().slide_key) == made_result()


def test_issued_file_is_private(tmp_path: Path) -> None:
    with Issued.open(tmp_path / "state") as issued:
        issued.add(made_result())
        for path in (tmp_path / "state").iterdir():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_open_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "issued.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match=r"issued.sqlite3 is damaged \(file is not a database\)"):
        Issued.open(tmp_path)


def test_open_file_of_a_later_version_says_so(tmp_path: Path) -> None:
    Issued.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "issued.sqlite3")) as other:
        other.execute("PRAGMA user_version = 9")
    with pytest.raises(StorageError, match="has version 9, this program reads 1"):
        Issued.open(tmp_path)


def test_last_damaged_document_says_so(tmp_path: Path) -> None:
    with Issued.open(tmp_path) as issued:
        issued.add(made_result())
        with closing(sqlite3.connect(issued.path)) as other, other:
            other.execute("DROP TRIGGER result_stays")
            other.execute("UPDATE result SET document = x'0011'")
        with pytest.raises(StorageError, match="is damaged"):
            issued.last(made_result().slide_key)


def test_alike_samples_finds_ids_that_a_lis_may_take_for_one(tmp_path: Path) -> None:
    with Issued.open(tmp_path) as issued:
        for sample in ("s1", "S1", "S2"):
            issued.add(made_result(sample))
        assert issued.alike_samples("S1") == ("s1",)
        assert issued.alike_samples("\uff331") == ("S1", "s1")
        assert issued.alike_samples("S2") == ()


def test_slides_with_finds_the_slides_of_the_same_cells_and_number_tells_their_order(
    tmp_path: Path,
) -> None:
    result = made_result()
    cells = [cell.sha256 for cell in result.cells]
    with Issued.open(tmp_path) as issued:
        assert issued.slides_with(cells) == ()
        assert issued.number_of(result.slide_key) == 0
        issued.add(result)
        assert issued.slides_with(cells) == (result.slide_key,)
        assert issued.slides_with([*cells, "f" * 64]) == (result.slide_key,)
        assert issued.slides_with(["f" * 64]) == ()
        assert issued.number_of(result.slide_key) == issued.newest()


def test_operator_s_word_is_kept(tmp_path: Path) -> None:
    key = made_result().slide_key
    with Issued.open(tmp_path) as issued:
        assert issued.said_complete(key) is None
        issued.say_complete(key, by="mm", at=START)
    with Issued.open(tmp_path) as issued:
        assert issued.said_complete(key) == ("mm", START)


def test_after_gives_what_was_issued_since_in_its_order(tmp_path: Path) -> None:
    with Issued.open(tmp_path) as issued:
        assert (issued.newest(), issued.after(0, 9)) == (0, [])
        results = [made_result("S2"), made_result("S1"), made_result("S2", revision=2)]
        for result in results:
            issued.add(result)
        assert [result for _, result in issued.after(0, 9)] == results
        assert issued.newest() == issued.after(0, 9)[-1][0]
        first = issued.after(0, 1)[0][0]
        assert [result for _, result in issued.after(first, 1)] == [results[1]]


@pytest.mark.parametrize("sample", ["S1", 'S" "state": "final",', "x" * 2000])
def test_state_is_that_of_the_whole_document(tmp_path: Path, sample: str) -> None:
    with Issued.open(tmp_path) as issued:
        for result in (made_result(sample), signed(sample, 2)):
            issued.add(result)
            assert issued.state(result.slide_key, result.revision) is result.state
        assert issued.state(result.slide_key, 3) is None
