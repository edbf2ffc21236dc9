"""Tests for daemon.config.config: every problem is told, and told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.config import load_config
from edge.errors import ConfigError

GOOD = "bundle: b.edge\nwatch: [{folder: export}]\nstate_dir: state\n"


def problems(folder: Path, text: str) -> list[str]:
    path = folder / "edge.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return [line.removeprefix(f"{path}: ") for line in str(caught.value).splitlines()]


def test_load_smallest_file_gives_defaults(tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_text(GOOD)
    config = load_config(tmp_path / "edge.yaml")
    assert config.bundle == tmp_path / "b.edge"
    assert config.watch[0].folder == tmp_path / "export"
    assert config.watch[0].patterns == ("*.jpg", "*.jpeg", "*.jpe", "*.jfif", "*.png")
    assert config.results.formats == ("json", "csv")
    assert (config.settle_s, config.rescan_s, config.poll) == (2.0, 30.0, "auto")
    assert config.batch.max_images == 16
    assert config.unfamiliar == "unidentified"
    assert config.results_folder(config.watch[0]) == tmp_path / "export"


def test_load_results_folder_is_shared_by_name(tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_text(
        "bundle: b\nstate_dir: s\nresults: {folder: out}\nwatch: [{folder: a}, {folder: x/b}]\n"
    )
    config = load_config(tmp_path / "edge.yaml")
    folders = [config.results_folder(watch) for watch in config.watch]
    assert folders == [tmp_path / "out" / "a", tmp_path / "out" / "b"]


def test_load_many_problems_are_told_in_one_go(tmp_path: Path) -> None:
    text = (
        "bundle: 3\nsettle_s: true\nworkers: 0\npoll: sometimes\nresults: {formats: [xml]}\n"
        "batch: 16\nwatch: [{folder: export, patern: '*.jpg'}]\nlog: {level: loud}\n"
        "unfamiliar: label\n"
    )
    assert problems(tmp_path, text) == [
        "bundle is 3; give a text.",
        "workers is 0; give a whole number from 1 to 16.",
        "watch[0].patern is not a known key; did you mean 'pattern'.",
        "results.formats has 'xml'; give some of json, csv.",
        "settle_s is True; give a number from 0.05 to 3600.",
        "poll is 'sometimes'; give one of auto, always, never.",
        "batch is 16; give a block of keys.",
        "state_dir is missing.",
        "log.level is 'loud'; give one of debug, info, warning, error.",
        "unfamiliar is 'label'; give one of unidentified, note.",
    ]


def test_load_key_with_a_line_in_its_name_is_one_problem(tmp_path: Path) -> None:
    text = GOOD + '"set\\ntle_s\\e[2J": 2\n'
    (said,) = problems(tmp_path, text)
    assert said.startswith(r"set\ntle_s\x1b[2J is not a known key; did you mean 'settle_s'")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD + "setle_s: 2", "setle_s is not a known key; did you mean 'settle_s'."),
        (GOOD + "metrics: {port: 1}", "metrics.port is not a known key; known: listen, file."),
        (GOOD + "watch: [{folder: b}]", ", line 4 is not valid YAML: the key 'watch' is given twi"),
        (GOOD + "a: [", "is not valid YAML"),
        ("", "holds no keys"),
        ("bundle: b\nstate_dir: s\n", "watch is missing."),
        ("bundle: b\nstate_dir: s\nwatch: []\n", "watch is []; give a list of blocks."),
        (
            "bundle: b\nstate_dir: s\nwatch: [export]\n",
            "watch[0] is 'export'; give a block of keys.",
        ),
        (
            "bundle: b\nstate_dir: s\nwatch: [{folder: a}, {folder: a/../a}]",
            "watch[1].folder is the same folder as watch[0].folder.",
        ),
        (
            "bundle: b\nstate_dir: s\nwatch: [{folder: a}, {folder: a/b}]",
            "watch[1].folder and watch[0].folder contain each other.",
        ),
        ("bundle: b\nstate_dir: a/s\nwatch: [{folder: a}]", "state_dir is inside watch[0]"),
        ("bundle: b\nstate_dir: s\nwatch: [{folder: a, pattern: '*'}]", "matches sidecars too"),
        (
            "bundle: b\nstate_dir: s\nwatch: [{folder: a, pattern: 'S*/*.jpg'}]",
            "watch[0].pattern ['S*/*.jpg'] has a /; give file names, of any folder below.",
        ),
        ("bundle: b\nstate_dir: s\nwatch: [{folder: a, sample: '{id}'}]", "is not a path template"),
        (
            "bundle: b\nstate_dir: s\nresults: {folder: r}\nwatch: [{folder: x/a}, {folder: y/a}]",
            "watch has folders of the same name",
        ),
        (GOOD + "retry: {first_delay_s: 9, max_delay_s: 3}", "retry.max_delay_s is 3, less than"),
        (GOOD + "threads: 1.5", "threads is 1.5; give a whole number from 1 to 256."),
    ],
)
def test_load_wrong_file_names_the_problem(tmp_path: Path, text: str, problem: str) -> None:
    (found,) = problems(tmp_path, text)
    assert problem in found


def test_load_folder_behind_a_link_is_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    text = "bundle: b\nstate_dir: s\nwatch: [{folder: a}, {folder: link}]"
    assert problems(tmp_path, text) == ["watch[1].folder is the same folder as watch[0].folder."]


def test_load_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")


def test_load_example_of_the_package_is_valid() -> None:
    example = Path(__file__).parents[3] / "systemd" / "edge.yaml"
    assert load_config(example).watch
