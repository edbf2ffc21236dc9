"""Tests for edge.files.yaml_file: what a file may hold, and one line for what it may not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from converters.inputs.card import read_card
from daemon.config.config import load_config
from edge.errors import ConfigError
from edge.files.yaml_file import MOST_BYTES, read_yaml


def parsed(folder: Path, content: str | bytes) -> object:
    path = folder / "a.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_yaml(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 12", 12),
        ("a: +100_000", 100_000),
        ("a: -1.5", -1.5),
        ("a: 1e3", 1000.0),
        ("a: .5", 0.5),
        ("a: true", True),
        ("a: FALSE", False),
        ("a: ~", None),
        ("a:", None),
        ("a: '5'", "5"),
        # What YAML 1.1 makes something else of.
        ("a: 010", "010"),
        ("a: 0x10", "0x10"),
        ("a: 60:00", "60:00"),
        ("a: 2026-13-45", "2026-13-45"),
        ("a: 2026-02-28", "2026-02-28"),
        ("a: .nan", ".nan"),
        ("a: -.inf", "-.inf"),
        ("a: 'yes'", "yes"),
        ("a: {<<: {b: 1}}", {"<<": {"b": 1}}),
        ("\ufeffa: 1", 1),
        ("a: |\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_value_is_read_as_it_was_meant(tmp_path: Path, text: str, value: object) -> None:
    found = parsed(tmp_path, text)
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)


_LAUGHS = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"a0: &a0 [x]\n{_LAUGHS}", "line 2 is not valid YAML: an alias is not read; write"),
        ("a: &a [*a]", "line 1 is not valid YAML: an alias is not read"),
        ("a: " + "9" * 5000, "line 1 is not valid YAML: a text is longer than 4096 characters"),
        ("\na: " + "9" * 4000, "line 2 is not valid YAML: a number has more than 18 digits"),
        ("a: 1.0e999", "line 1 is not valid YAML: 1.0e999 is too large for a number"),
        ("a: " + "[" * 5000, "it is nested more than 20 levels deep"),
        ("a: " + "{a: " * 20_000, "it is nested more than 20 levels deep"),
        ("- " * 5000 + "x", "it is nested more than 20 levels deep"),
        ("\n".join(" " * n + "a:" for n in range(500)), "line 20 is not valid YAML: it is nested"),
        ("a: !!python/object/apply:os.system [x]", "a tag is not read; leave it out"),
        ("a: !!timestamp 2026-13-45", "a tag is not read"),
        ("%TAG ! tag:x,2000:\n---\na: !int 1", "line 3 is not valid YAML: a tag is not read"),
        ("a: no", "no is unclear; give true or false, or put it into quotes"),
        ("1: x", "a key is not a text; put it into quotes"),
        ("? {a: b}\n: x", "a key is not a text"),
        ("a: 1\na: 2", "line 2 is not valid YAML: the key 'a' is given twice"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a:\n\tb: 1", "line 2 is not valid YAML: found character '\\t'"),
        ("a: 1\nb: \0", "line 2 is not valid YAML: it holds the character U+0000"),
        ("a: \x1b[2J", "line 1 is not valid YAML: it holds the character U+001B"),
        ('a: "\\0"', "a text has a zero byte or half of a surrogate pair"),
        ('a: "\\ud800"', "a text has a zero byte or half of a surrogate pair"),
        ('a:\n - "\\UFFFFFFFF"', "line 2 is not valid YAML: no character has this number"),
        ("a: " + "x " * MOST_BYTES, "is too large"),
        (b"a: 1\nb: \xff", "line 2 is not UTF-8 text. Save it as UTF-8"),
        ("a: 1".encode("utf-16"), "line 1 is not UTF-8 text"),
    ],
)
def test_file_that_cannot_be_taken_is_one_line_that_names_its_place(
    tmp_path: Path, text: str | bytes, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'a.yaml'}")
    assert problem in message
    assert "\n" not in message
    assert len(message) < 500 + len(str(tmp_path))
    for read in (read_card, load_config):
        with pytest.raises(ConfigError) as caught:
            read(tmp_path / "a.yaml")
        assert str(caught.value) == message


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(ConfigError, match="cannot be read \\(not a regular file\\)"):
            read_yaml(path)
    with pytest.raises(ConfigError, match="is not a valid file name"):
        read_yaml(tmp_path / "a\0b")


def test_thousands_of_wrong_keys_and_folders_are_told_in_few_lines(tmp_path: Path) -> None:
    path = tmp_path / "edge.yaml"
    keys = "".join(f"key{n}: 1\n" for n in range(5000))
    folders = "".join(f" - folder: f{n}\n" for n in range(5000))
    path.write_text(f"bundle: b\nstate_dir: s\nwatch:\n{folders}threads: {[1] * 5000}\n{keys}")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    lines = str(caught.value).splitlines()
    assert f"{path}: watch has 5000 blocks; give at most 100." in lines
    assert f"{path}: has 4980 more unknown keys." in lines
    assert len(lines) < 30
    assert max(map(len, lines)) < 500 + len(str(path))
