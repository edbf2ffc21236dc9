from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.results.reading.problem import Problem, ProblemCode
from edge.results.reading.verify import Verified, verify
from edge.sidecar import to_json
from tests.support.sidecar_tree import export, outcome, rejected_outcome

Fault = Callable[[Path], None]
# The tree of the tests: three images with sidecars of both forms.
NAMES = ("a.jpg", "S1/b.jpg", "S1/c.png")


def check(path: Path, images: Path | None = None) -> tuple[Verified, list[tuple[str, ProblemCode]]]:
    problems: list[Problem] = []
    verified = verify(path, images, problems.append)
    assert verified.problems.total() == len(problems)
    assert all(problem.line.isprintable() for problem in problems)
    return verified, [(problem.path.name, problem.code) for problem in problems]


def make_tree(folder: Path, results: Path | None = None) -> None:
    for name in NAMES:
        export(folder, name, results=results)


def changed_image(root: Path) -> None:
    (root / "S1/b.jpg").write_bytes(b"other")


def deleted_image(root: Path) -> None:
    (root / "S1/b.jpg").unlink()


def image_that_is_a_link(root: Path) -> None:
    (root / "S1/b.jpg").rename(root / "S1/elsewhere")
    (root / "S1/b.jpg").symlink_to("elsewhere")


def new_image(root: Path) -> None:
    (root / "S1/d.JPG").write_bytes(b"new")


def foreign_file(root: Path) -> None:
    (root / "S1/b.jpg.json").write_text('{"label": "x"}')


def copied_image(root: Path) -> None:
    export(root, "S1/copy.jpg", content=b"S1/b.jpg")


def torn_sidecar(root: Path) -> None:
    (root / "S1/b.jpg.json").write_bytes((root / "S1/b.jpg.json").read_bytes()[:300])


def next_schema(root: Path) -> None:
    path = root / "S1/b.jpg.json"
    path.write_bytes(to_json({**json.loads(path.read_bytes()), "schema": "edge-sidecar/2"}))


def copied_sidecar(root: Path) -> None:
    shutil.copy(root / "S1/b.jpg.json", root / "S1/b.jpg (1).json")


def changed_csv(root: Path) -> None:
    path = root / "S1/b.jpg.csv"
    path.write_bytes(path.read_bytes().replace(b"neutrophil,0.93", b"basophil,0.93"))


def csv_with_other_rows(root: Path) -> None:
    path = root / "S1/b.jpg.csv"
    path.write_bytes(path.read_bytes() * 2)


def csv_without_json(root: Path) -> None:
    (root / "S1/b.jpg.json").unlink()
    (root / "S1/b.jpg").unlink()


def csv_of_another_program(root: Path) -> None:
    (root / "S1/b.jpg.csv").write_text("a,b\r\n1,2\r\n")


FAULTS: dict[Fault, list[tuple[str, ProblemCode]]] = {
    changed_image: [("b.jpg", ProblemCode.IMAGE_CHANGED)],
    deleted_image: [("b.jpg.json", ProblemCode.IMAGE_GONE)],
    image_that_is_a_link: [("b.jpg.json", ProblemCode.IMAGE_GONE)],
    new_image: [("d.JPG", ProblemCode.NO_SIDECAR)],
    foreign_file: [("b.jpg.json", ProblemCode.FOREIGN)],
    copied_image: [("copy.jpg.json", ProblemCode.DOUBLED)],
    torn_sidecar: [("b.jpg.json", ProblemCode.NOT_JSON)],
    next_schema: [("b.jpg.json", ProblemCode.OTHER_SCHEMA)],
    copied_sidecar: [("b.jpg (1).json", ProblemCode.OTHER_NAME)],
    changed_csv: [("b.jpg.csv", ProblemCode.CSV_DIFFERS)],
    csv_with_other_rows: [("b.jpg.csv", ProblemCode.CSV_DIFFERS)],
    csv_without_json: [("b.jpg.csv", ProblemCode.CSV_ALONE)],
    csv_of_another_program: [("b.jpg.csv", ProblemCode.CSV_DIFFERS)],
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_fault_is_found_once_and_nothing_else(fault: Fault, tmp_path: Path) -> None:
    make_tree(tmp_path)
    fault(tmp_path)
    verified, problems = check(tmp_path)
    assert problems == FAULTS[fault]
    # The others are as they were.
    assert verified.unchanged >= 2


def test_whole_tree_beside_the_images_has_no_problem(tmp_path: Path) -> None:
    make_tree(tmp_path)
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "table.csv").write_text("a\r\n1\r\n")
    (tmp_path / "text.txt").touch()
    verified, problems = check(tmp_path)
    assert problems == []
    assert (verified.sidecars.cells, verified.sidecars.foreign) == (3, 1)
    assert (verified.images, verified.unchanged, verified.csv) == (3, 3, 3)


def test_results_folder_is_checked_against_the_images_that_it_mirrors(tmp_path: Path) -> None:
    make_tree(tmp_path / "export", tmp_path / "results")
    assert check(tmp_path / "results", tmp_path / "export")[1] == []
    changed_image(tmp_path / "export")
    (tmp_path / "export/a.jpg").unlink()
    new_image(tmp_path / "export")
    assert check(tmp_path / "results", tmp_path / "export")[1] == [
        ("b.jpg", ProblemCode.IMAGE_CHANGED),
        ("d.JPG", ProblemCode.NO_SIDECAR),
        ("a.jpg.json", ProblemCode.IMAGE_GONE),
    ]


def test_results_folder_without_its_images_is_checked_by_itself(tmp_path: Path) -> None:
    make_tree(tmp_path / "export", tmp_path / "results")
    verified, problems = check(tmp_path / "results")
    assert (problems, verified.images, verified.sidecars.cells) == ([], 0, 3)
    assert verified.csv == 3


def test_names_of_any_bytes_and_lengths_find_their_images_and_twins(tmp_path: Path) -> None:
    names = [b"caf\xe9.jpg", b"x" * 251 + b".jpg", b"\xff" * 251 + b".jpg", b"y" * 247 + b".jpg"]
    names += ["ä.jpg".encode(), ("ä" * 125 + ".jpg").encode(), b"z" * 246 + b".jpg"]
    for name in names:
        export(tmp_path, b"f\xe9/" + name)
    verified, problems = check(tmp_path)
    assert problems == []
    assert (verified.images, verified.unchanged, verified.csv) == (7, 7, 7)


def test_rejected_and_unread_images_are_no_problem(tmp_path: Path) -> None:
    export(tmp_path, "a.bmp", rejected_outcome(b"a.bmp"))
    export(tmp_path, "b.jpg", rejected_outcome(b"b.jpg"))
    path = export(tmp_path, "c.jpg", rejected_outcome(b"c.jpg"), formats=("json",))
    fields = json.loads(path.read_bytes())
    path.write_bytes(to_json({**fields, "image": {**fields["image"], "sha256": None}}))
    verified, problems = check(tmp_path)
    assert (problems, verified.images, verified.unchanged) == ([], 3, 2)


def test_csv_of_an_older_version_agrees(tmp_path: Path) -> None:
    path = export(tmp_path, "a.jpg")
    fields = json.loads(path.read_bytes())
    del fields["image"]["folder"], fields["model"]["graph"]
    del fields["familiarity"], fields["drift"]
    path.write_bytes(to_json(fields))
    twin = path.with_suffix(".csv")
    rows = twin.read_bytes().decode().splitlines()
    twin.write_text("".join(f"{row.rsplit(',', 6)[0]}\r\n" for row in rows), newline="")
    verified, problems = check(tmp_path)
    assert (problems, verified.csv) == ([], 1)


def test_every_column_of_the_csv_is_compared(tmp_path: Path) -> None:
    twin = export(tmp_path, "a.jpg", outcome(b"a.jpg"), sample_id="S1").with_suffix(".csv")
    heading, row = twin.read_text().splitlines()
    cells = row.split(",")
    for number, name in enumerate(heading.split(",")):
        wrong = [*cells[:number], "x", *cells[number + 1 :]]
        twin.write_text(f"{heading}\r\n{','.join(wrong)}\r\n", newline="")
        problems: list[Problem] = []
        verify(tmp_path, None, problems.append)
        assert [problem.text.rpartition(": ")[2] for problem in problems] == [f"column {name}"]


def test_missing_folder_of_the_images_is_refused(tmp_path: Path) -> None:
    export(tmp_path, "a.jpg")
    with pytest.raises(ConfigError, match="absent does not exist"):
        check(tmp_path, tmp_path / "absent")
