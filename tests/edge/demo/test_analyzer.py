"""Tests for edge.demo.analyzer: every exported file ends whole, and no name tells a class."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edge.demo.analyzer import ExportedImage, drawn_images, export_images, images_in_folder
from edge.demo.drawing.cells import CLASSES

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))


def small_contents(count: int) -> list[tuple[str | None, bytes]]:
    rng = np.random.default_rng(1)
    return [(CLASSES[n % len(CLASSES)], b"\xff\xd8" + rng.bytes(500 + n)) for n in range(count)]


def no_wait(_seconds: float) -> None:
    return


def export(count: int, folder: Path, *, seed: int = 5) -> list[ExportedImage]:
    return list(export_images(small_contents(count), folder, seed=seed, sleep=no_wait))


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_export_images_every_file_equals_its_source(tmp_path: Path) -> None:
    sources = small_contents(60)
    exported = export(60, tmp_path)
    for image, (cell_class, content) in zip(exported, sources, strict=True):
        assert image.path.read_bytes() == content
        assert image.sha256 == hashlib.sha256(content).hexdigest()
        assert image.cell_class == cell_class


def test_export_images_finished_leaves_nothing_else(tmp_path: Path) -> None:
    exported = export(60, tmp_path)
    assert files_below(tmp_path) == {image.path for image in exported}


def test_export_images_sixty_use_all_three_methods(tmp_path: Path) -> None:
    methods = Counter(image.method for image in export(60, tmp_path))
    assert set(methods) == {"chunked", "renamed", "preallocated"}
    assert min(methods.values()) >= 8


def test_export_images_names_carry_no_class(tmp_path: Path) -> None:
    for image in export(60, tmp_path):
        name = image.path.relative_to(tmp_path).as_posix()
        assert re.fullmatch(r"S\d{6}/slide-\d+/\d{4}\.jpg", name)


def test_export_images_full_slide_begins_the_next(tmp_path: Path) -> None:
    exported = list(
        export_images(small_contents(7), tmp_path, seed=5, images_per_slide=3, sleep=no_wait)
    )
    per_slide = Counter(image.path.parent for image in exported)
    assert list(per_slide.values()) == [3, 3, 1]
    assert [image.path.stem for image in exported[:4]] == ["0001", "0002", "0003", "0001"]


def test_export_images_same_seed_same_names_and_methods(tmp_path: Path) -> None:
    first = export(30, tmp_path / "a")
    second = export(30, tmp_path / "b")
    names = [image.path.relative_to(tmp_path / "a") for image in first]
    assert names == [image.path.relative_to(tmp_path / "b") for image in second]
    assert [image.method for image in first] == [image.method for image in second]


def test_export_images_second_run_leaves_the_first_alone(tmp_path: Path) -> None:
    first = export(10, tmp_path)
    second = export(10, tmp_path)
    assert not {image.path for image in first} & {image.path for image in second}
    assert len(files_below(tmp_path)) == 20


def test_export_images_half_written_differs_by_method(tmp_path: Path) -> None:
    seen: list[set[str]] = []

    def look(_seconds: float) -> None:
        seen[-1] |= {path.name for path in files_below(tmp_path)}

    seen.append(set())
    for image in export_images(small_contents(30), tmp_path, seed=5, sleep=look):
        assert (image.path.name in seen[-1]) == (image.method != "renamed")
        assert (f".{image.path.name}.part" in seen[-1]) == (image.method == "renamed")
        image.path.unlink()
        seen.append(set())


def test_export_images_temporary_name_never_looks_finished(tmp_path: Path) -> None:
    seen: set[Path] = set()

    def look(_seconds: float) -> None:
        seen.update(path for path in files_below(tmp_path) if path.name.startswith("."))

    list(export_images(small_contents(30), tmp_path, seed=5, sleep=look))
    assert seen
    assert not any(path.match("*.jpg") for path in seen)


def test_export_images_preallocated_has_its_final_size_first(tmp_path: Path) -> None:
    first_look: list[bytes] = []

    def look(_seconds: float) -> None:
        first_look.extend(path.read_bytes() for path in files_below(tmp_path))

    sources = small_contents(30)
    exports = export_images(sources, tmp_path, seed=5, sleep=look)
    for image, (_, content) in zip(exports, sources, strict=True):
        if image.method == "preallocated":
            assert first_look[0] == bytes(len(content))
        image.path.unlink()
        first_look.clear()


def test_export_images_pause_waits_after_each_image(tmp_path: Path) -> None:
    waits_s: list[float] = []
    list(export_images(small_contents(4), tmp_path, seed=5, pause_s=0.5, sleep=waits_s.append))
    assert waits_s.count(0.5) == 4


def test_export_images_own_png_keeps_its_suffix(tmp_path: Path) -> None:
    (image,) = export_images([(None, PNG)], tmp_path, seed=5, sleep=no_wait)
    assert image.path.suffix == ".png"
    assert image.cell_class is None
    assert image.path.read_bytes() == PNG


def test_drawn_images_eight_hold_every_class(tmp_path: Path) -> None:
    images = list(drawn_images(16, seed=2))
    assert {cell_class for cell_class, _ in images[:8]} == set(CLASSES)
    assert {cell_class for cell_class, _ in images[8:]} == set(CLASSES)
    exported = list(export_images(images, tmp_path, seed=2, sleep=no_wait))
    assert all(image.path.read_bytes().startswith(b"\xff\xd8") for image in exported)


def test_drawn_images_same_seed_same_images() -> None:
    assert list(drawn_images(5, seed=3)) == list(drawn_images(5, seed=3))
    assert list(drawn_images(5, seed=3)) != list(drawn_images(5, seed=4))


def test_images_in_folder_takes_images_in_order_of_path(tmp_path: Path) -> None:
    for name in ("b/2.png", "a.JPG", "b/1.jpeg", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    found = [content.decode() for _, content in images_in_folder(tmp_path)]
    assert found == ["a.JPG", "b/1.jpeg", "b/2.png"]
    assert len(list(images_in_folder(tmp_path, limit=2))) == 2


def test_images_in_folder_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="none-here"):
        list(images_in_folder(tmp_path / "none-here"))
