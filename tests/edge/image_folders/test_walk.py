"""What is found below a folder, whatever links and other files lie in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.image_folders.walk import find_images


def names_in(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in find_images(folder).paths]


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_find_images_follows_links_to_folders_and_files_out_of_the_tree(tmp_path: Path) -> None:
    put(tmp_path / "data" / "teal" / "slide" / "1.jpg", tmp_path / "blob" / "8f3a")
    pool = tmp_path / "pool"
    put(pool / "amber" / "2.png")
    (pool / "teal").symlink_to("../data/teal")
    (pool / "amber" / "3.jpg").symlink_to(tmp_path / "blob" / "8f3a")
    found = find_images(pool)
    assert names_in(pool) == ["amber/2.png", "amber/3.jpg", "teal/slide/1.jpg"]
    assert found.left_out.lines() == ()
    assert found.images[1].real == str(tmp_path / "blob" / "8f3a")


def test_find_images_takes_every_spelling_of_jpeg_and_png(tmp_path: Path) -> None:
    for name in ("a.JPG", "b.jpeg", "c.jfif", "d.Png", "e.jpe"):
        put(tmp_path / name)
    assert names_in(tmp_path) == ["a.JPG", "b.jpeg", "c.jfif", "d.Png", "e.jpe"]


def test_find_images_counts_what_it_leaves_out_by_kind(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", tmp_path / "b.BMP", tmp_path / "c.bmp", tmp_path / "d.tif")
    put(tmp_path / "notes.txt", tmp_path / "README", tmp_path / "._a.jpg", tmp_path / "Thumbs.db")
    put(tmp_path / "__MACOSX" / "e.jpg", tmp_path / ".cache" / "f.jpg", tmp_path / "g.webp")
    found = find_images(tmp_path)
    assert [path.name for path in found.paths] == ["a.jpg"]
    assert found.left_out.lines() == (
        (
            "4 images of kinds that are not read (.bmp 2, .tif 1, .webp 1); only JPEG and PNG are, "
            "convert them to PNG"
        ),
        "2 other files, no images by their names (no suffix 1, .txt 1)",
        "4 hidden or system files (a folder counts as one)",
    )


def test_find_images_does_not_walk_in_circles(tmp_path: Path) -> None:
    put(tmp_path / "a" / "b" / "1.jpg")
    (tmp_path / "a" / "b" / "up").symlink_to("..")
    (tmp_path / "a" / "self").symlink_to(".")
    (tmp_path / "a" / "root").symlink_to(tmp_path)
    found = find_images(tmp_path)
    assert [path.name for path in found.paths] == ["1.jpg"]
    assert found.left_out.lines() == ("3 links to a folder that the link lies in",)


def test_find_images_of_folders_that_link_to_each_other_ends(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / "class" / name / "1.jpg")
    (tmp_path / "class" / "a" / "other").symlink_to("../b")
    (tmp_path / "class" / "b" / "other").symlink_to("../a")
    found = find_images(tmp_path)
    assert names_in(tmp_path) == ["class/a/1.jpg", "class/b/1.jpg"]
    assert found.left_out.repeated == 2


def test_find_images_takes_the_own_path_before_links_and_once_in_an_entry(tmp_path: Path) -> None:
    put(tmp_path / "dark" / "z.jpg", tmp_path / "dark" / "inner" / "y.jpg")
    (tmp_path / "dark" / "a.jpg").symlink_to("z.jpg")
    (tmp_path / "dark" / "b").symlink_to("inner")
    (tmp_path / "pale").mkdir()
    (tmp_path / "pale" / "a.jpg").symlink_to("../dark/z.jpg")
    found = find_images(tmp_path)
    assert names_in(tmp_path) == ["dark/inner/y.jpg", "dark/z.jpg", "pale/a.jpg"]
    assert found.left_out.lines() == ("2 links to what is there already; an image counts once",)


def link_to_nothing(path: Path) -> None:
    path.symlink_to("moved")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("name", ["1.jpg", "teal"])
@pytest.mark.parametrize("make", [link_to_nothing, link_to_itself])
def test_find_images_link_that_leads_nowhere_is_named(
    tmp_path: Path, make: Callable[[Path], None], name: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(
        ConfigError, match=rf"{name} is a broken link: its target ({name}|moved) does not exist"
    ):
        find_images(tmp_path)


def test_find_images_hidden_link_that_leads_nowhere_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    (tmp_path / ".#a.jpg").symlink_to("user@host.123")
    assert names_in(tmp_path) == ["a.jpg"]


def test_find_images_pipe_with_the_name_of_an_image_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ConfigError, match=r"a\.jpg is no regular file"):
        find_images(tmp_path)


def test_find_images_of_a_file_or_nothing_says_so(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    for path in (tmp_path / "a.jpg", tmp_path / "none"):
        with pytest.raises(ConfigError, match="is no folder"):
            find_images(path)
