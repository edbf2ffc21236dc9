"""Calibration and validation folders as people make them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from converters.accuracy.validation_size import require_enough_images
from converters.inputs.image_set import load_images, load_readable
from edge.errors import ConfigError
from tests.support.images import Jpeg

CLASSES = ("érythroblaste", "plaquette")


@pytest.fixture
def folder(tmp_path: Path, colour_jpeg: Jpeg) -> Path:
    """Two images of each class, the classes' names as macOS spells them."""
    for number, name in enumerate(CLASSES * 2):
        put(tmp_path / "val" / unicodedata.normalize("NFD", name), f"{number}.jpg", colour_jpeg)
    return tmp_path / "val"


def put(folder: Path, name: str, colour_jpeg: Jpeg) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(colour_jpeg("red", seed=len(name) * 7 + ord(name[0])))
    return folder / name


def test_load_images_labels_are_spelled_as_the_card_spells_them(folder: Path) -> None:
    images = load_images(folder, CLASSES)
    assert {label for label, _ in images.files} == set(CLASSES)
    assert len(images.files) == 4


def test_load_images_takes_a_linked_class_and_nested_slides(
    folder: Path, tmp_path: Path, colour_jpeg: Jpeg
) -> None:
    put(tmp_path / "elsewhere" / "slide1", "a.jpg", colour_jpeg)
    put(tmp_path / "elsewhere" / "slide2", "b.JPEG", colour_jpeg)
    (folder / "ig").symlink_to(tmp_path / "elsewhere")
    images = load_images(folder, (*CLASSES, "ig"))
    assert [label for label, _ in images.files].count("ig") == 2
    assert len(load_images(folder).files) == 6


def test_load_readable_leaves_out_what_is_broken_and_says_so(
    folder: Path, colour_jpeg: Jpeg
) -> None:
    broken = put(folder, "broken.jpg", colour_jpeg)
    broken.write_bytes(broken.read_bytes()[:-40])
    images = load_readable(folder, 1000)
    assert len(images.files) == 4
    assert "1 broken image" in images.left_out
    assert len(load_readable(folder, 2).files) <= 2


def test_load_images_says_what_it_leaves_out(folder: Path, colour_jpeg: Jpeg) -> None:
    put(folder / "plaquette", "scan.bmp", colour_jpeg)
    (folder / "plaquette" / "._0.jpg").write_bytes(b"no image")
    left_out = load_images(folder, CLASSES).left_out
    assert left_out[0].startswith("1 image of kinds that are not read (.bmp 1)")
    assert left_out[1:] == ("1 hidden or system file (a folder counts as one)",)


def test_class_of_which_only_unread_images_are_there_is_named_with_them(
    folder: Path, colour_jpeg: Jpeg
) -> None:
    put(folder / "ig", "scan.bmp", colour_jpeg)
    classes = (*CLASSES, "ig")
    with pytest.raises(ConfigError, match=r"none of ig \(left out: 1 image .* \(\.bmp 1\)"):
        require_enough_images(load_images(folder, classes), classes)


def test_load_images_with_only_unread_images_says_so(tmp_path: Path, colour_jpeg: Jpeg) -> None:
    put(tmp_path, "scan.tif", colour_jpeg)
    with pytest.raises(ConfigError, match=r"holds no \.jpg or \.png images \(left out: 1 image"):
        load_images(tmp_path)


def test_load_images_file_in_two_classes_is_refused_and_without_classes_counts_once(
    folder: Path,
) -> None:
    first = min(folder.rglob("*.jpg"))
    other = next(p for p in folder.iterdir() if p != first.parent)
    (other / "same.jpg").symlink_to(first)
    with pytest.raises(ConfigError, match=r"same\.jpg are the same file in two classes"):
        load_images(folder, CLASSES)
    images = load_images(folder)
    assert len(images.files) == 4
    assert images.left_out == ("1 link to what is there already; an image counts once",)


def test_load_images_copies_count_once_in_a_class_and_are_refused_in_two(folder: Path) -> None:
    before = load_images(folder, CLASSES)
    first, second = sorted(folder.iterdir())
    (image, _) = sorted(first.iterdir())
    (first / "z-copy.jpg").write_bytes(image.read_bytes())
    images = load_images(folder, CLASSES)
    assert (images.files, images.sha256) == (before.files, before.sha256)
    assert images.left_out == ("1 file with the bytes of another one; an image counts once",)
    assert len(load_images(folder).files) == 5
    (second / "copy.jpg").write_bytes(image.read_bytes())
    with pytest.raises(ConfigError, match="are copies of one image in two classes"):
        load_images(folder, CLASSES)


def test_load_images_folder_that_is_nearly_a_class_is_told_which(
    folder: Path, colour_jpeg: Jpeg
) -> None:
    put(folder / "Plaquette ", "a.jpg", colour_jpeg)
    with pytest.raises(ConfigError, match=r"'Plaquette ' .* Did you mean 'plaquette'\?"):
        load_images(folder, CLASSES)
