"""What the child that opened a stranger's model answers is read with care."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from converters.loading.sandbox.messages import (
    Answer,
    SourceKind,
    read_answer,
    read_result,
    write_answer,
)
from edge.errors import ModelError

ANSWER = "answer.json"


def test_read_answer_gives_what_was_written(tmp_path: Path) -> None:
    answer = Answer(SourceKind.ONNX, {"key": "model"}, None)
    write_answer(tmp_path, answer)
    assert read_answer(tmp_path) == answer


def test_read_answer_of_child_that_gave_none_is_none(tmp_path: Path) -> None:
    assert read_answer(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"kind": null, "facts": {"key": "\\ud800"}, "refusal": null}',
        b'{"kind": null, "facts": {"key": NaN}, "refusal": null}',
        b'{"kind": "virus", "facts": {}, "refusal": null}',
        json.dumps([]).encode(),
        b"\xff",
    ],
)
def test_read_answer_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ANSWER).write_bytes(content)
    with pytest.raises(ModelError, match="returned a damaged answer"):
        read_answer(tmp_path)


def make_large(path: Path) -> None:
    path.touch()
    os.truncate(path, 1024**2 + 1)


def make_link(path: Path) -> None:
    path.with_name("other").write_bytes(b"{}")
    path.symlink_to("other")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "not a regular file"),
        (Path.mkdir, "not a regular file"),
        (make_link, "not a regular file"),
        (make_large, "1048577 bytes, at most 1048576 are read"),
    ],
)
def test_read_answer_from_no_file_or_a_large_one_is_refused(
    tmp_path: Path, make: Callable[[Path], object], said: str
) -> None:
    make(tmp_path / ANSWER)
    with pytest.raises(ModelError, match=said):
        read_answer(tmp_path)


def test_read_result_of_child_that_left_no_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"wrote no graph\.onnx"):
        read_result(tmp_path)
