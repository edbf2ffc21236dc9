"""Tests for edge.text.path_template."""

from __future__ import annotations

import pytest

from edge.errors import ConfigError
from edge.text.path_template import PathTemplate


@pytest.mark.parametrize(
    ("template", "path", "ids"),
    [
        ("{sample_id}/{slide_id}/*", b"S1/slide-2/7.jpg", ("S1", "slide-2")),
        ("{sample_id}/{slide_id}/*", b"S1/7.jpg", (None, None)),
        ("{sample_id}/**", b"S1/a/b/7.jpg", ("S1", None)),
        ("{sample_id}_{slide_id}_*.jpg", b"12_3_7.jpg", ("12", "3")),
        ("day*/{sample_id}/*", b"day1/=cmd/7.jpg", ("=cmd", None)),
        ("{sample_id}/*", b"\xff/7.jpg", ("\\xff", None)),
        ("{sample_id}/*", b"a.b/7+.jpg", ("a.b", None)),
    ],
)
def test_ids_path_and_template_give(
    template: str, path: bytes, ids: tuple[str | None, str | None]
) -> None:
    assert PathTemplate.parse(template).ids(path) == ids


@pytest.mark.parametrize(
    ("template", "path", "folder"),
    [
        ("{sample_id}/{slide_id}/*", b"S1/slide-2/7.jpg", "S1/slide-2"),
        ("{sample_id}/{slide_id}/**", b"S1/slide-2/monocytes/7.jpg", "S1/slide-2"),
        ("{sample_id}/**", b"S1/a/b/7.jpg", "S1"),
        ("{sample_id}_{slide_id}_*.jpg", b"12_3_7.jpg", "."),
        ("day*/{sample_id}_*", b"day1/S1_7.jpg", "day1"),
        ("{sample_id}/*", b"S1/a/7.jpg", None),
    ],
)
def test_folder_of_ids_is_the_highest_with_all_of_them(
    template: str, path: bytes, folder: str | None
) -> None:
    assert PathTemplate.parse(template).folder_of_ids(path) == folder


@pytest.mark.parametrize("text", ["{sample}/*", "*/*", "{sample_id}/{sample_id}/*", "{}/*"])
def test_parse_wrong_names_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="sample_id"):
        PathTemplate.parse(text)


@pytest.mark.parametrize("text", ["{sample_id}/{slide_id/*", "{sample_id}}/*", "{{sample_id}/*"])
def test_parse_brace_left_over_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="has an unmatched brace"):
        PathTemplate.parse(text)
