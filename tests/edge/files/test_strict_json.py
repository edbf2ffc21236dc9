from __future__ import annotations

from pathlib import Path

import pytest

from edge.files import strict_json
from edge.files.strict_json import read_json


def test_read_json_gives_the_value(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes('{"ä": [1, 2.5, null]}'.encode())
    assert read_json(tmp_path / "a.json") == {"ä": [1, 2.5, None]}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": Infinity}', "Infinity is not JSON"),
        (b'"\\ud800"', "half of a UTF-16 surrogate pair"),
        (b"{", "Expecting property name"),
        (b"\xff\xfe\x00", "codec can't decode"),
    ],
)
def test_read_json_of_what_is_none_is_a_value_error(
    tmp_path: Path, content: bytes, why: str
) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=why):
        read_json(tmp_path / "a.json")


def test_read_json_reads_no_more_than_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strict_json, "_LARGEST_BYTES", 10)
    (tmp_path / "whole.json").write_bytes(b"[1, 2, 34]")
    (tmp_path / "large.json").write_bytes(b"[1, 2, 34] ")
    assert read_json(tmp_path / "whole.json") == [1, 2, 34]
    with pytest.raises(ValueError, match="larger than"):
        read_json(tmp_path / "large.json")


def test_read_json_with_a_limit_of_its_own_reads_as_much(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"[1, 2, 34]")
    assert read_json(tmp_path / "a.json", largest_bytes=10) == [1, 2, 34]
    with pytest.raises(ValueError, match="larger than"):
        read_json(tmp_path / "a.json", largest_bytes=9)
