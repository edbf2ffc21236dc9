from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.bench.reading.file import read_document
from edge.errors import ConfigError
from tests.support.bench_document import calm_series, document_of


def test_file_of_a_measurement_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document_of(calm_series())))
    assert len(read_document(path).series) == 1


HOSTILE = {
    "empty": b"",
    "cut": b'{"schema": "edge-bench/2", "series": [',
    "binary": b"\xff\xfe\x00\x01",
    "nan": b'{"schema": NaN}',
    "deep": b"[" * 100_000,
    "digits": b'{"schema": ' + b"9" * 10_000 + b"}",
    "surrogate": b'{"schema": "\\ud800"}',
    "escape": b'{"schema": "\\u001b[2J\\u001b[1;31mred"}',
    "exponent": b'{"schema": 1e999}',
    "list": b"[1, 2]",
    "twice": b'{"schema": "edge-bench/2", "schema": "edge-bench/2"}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_file_that_is_damaged_or_hostile_is_one_clear_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(ConfigError, match=r"^a\.json is no measurement: ") as error:
        read_document(path)
    assert str(error.value).isprintable()
    assert str(error.value).endswith("Give a file that `edge-bench --json` wrote.")
    assert len(str(error.value)) < 400
    assert error.value.exit_code == 2


def test_file_that_is_missing_or_a_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^b\.json cannot be read: No such file"):
        read_document(tmp_path / "b.json")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_document(tmp_path)


def test_file_cut_at_any_place_is_refused(tmp_path: Path) -> None:
    content = json.dumps(document_of(calm_series(count=30))).encode()
    path = tmp_path / "a.json"
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(ConfigError, match="is no measurement"):
            read_document(path)
