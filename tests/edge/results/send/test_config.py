"""Tests for the configuration of edge-results send."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.errors import ConfigError
from edge.results.document.result import State
from edge.results.formats.shipped import table as shipped
from edge.results.send.config import RETRIES, SendConfig, load_send_config
from edge.results.send.targets.mllp import Receiver
from edge.retry.policy import RetryPolicy
from tests.edge.results.send.site import MESSAGE, TEXT

ROOT = Path(__file__).parents[4]
FORMATS = {"text": TEXT, "message": MESSAGE}
LIS = {"name": "lis", "format": "message", "mllp": "192.0.2.10:6661"}
DROP = {"name": "drop", "format": "text", "drop": "lis"}


def load(folder: Path, **changes: Any) -> SendConfig:
    values = {
        "state_dir": "state",
        "sidecars": {"folder": "results"},
        "targets": [LIS, DROP],
        **changes,
    }
    path = folder / "results.yaml"
    path.write_text(json.dumps(values))
    return load_send_config(path, FORMATS)


def test_small_configuration_sends_verified_results_alone(tmp_path: Path) -> None:
    config = load(tmp_path)
    lis, drop = config.targets
    assert config.state_dir == tmp_path / "state"
    assert lis.place == Receiver("192.0.2.10", 6661, connect_s=10.0, answer_s=30.0)
    assert drop.place == tmp_path / "lis"
    assert lis.states == drop.states == (State.FINAL, State.CORRECTED)
    assert lis.retries == RETRIES


def test_targets_are_needed_by_who_sends_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"targets is \[\]"):
        load(tmp_path, targets=[])
    path = tmp_path / "results.yaml"
    assert load_send_config(path, FORMATS, needs_targets=False).targets == ()


def test_all_options_of_a_target_are_read(tmp_path: Path) -> None:
    retry = {"failures": 2, "first_delay_s": 1, "max_delay_s": 2}
    more = {"states": ["preliminary"], "retry": retry, "answer_s": 5, "pause_s": 1}
    since = {"since": "2026-11-27T00:00:00+01:00"}
    (target,) = load(
        tmp_path, targets=[{**LIS, "mllp": "[2001:db8::1]:99", **more, **since}]
    ).targets
    assert target.place == Receiver("2001:db8::1", 99, connect_s=10.0, answer_s=5.0)
    assert str(target.place) == "[2001:db8::1]:99"
    assert target.states == (State.PRELIMINARY,)
    assert target.retries == RetryPolicy(2, 1.0, 2.0)
    assert target.pause_s == 1.0
    assert target.since is not None
    assert target.since.isoformat() == "2026-11-27T00:00:00+01:00"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": [LIS]}, "target is not a known key; did you mean 'targets'"),
        ({"targets": [{**LIS, "formt": "x"}]}, "targets[0].formt is not a known key"),
        ({"targets": []}, "targets is []; give a list of blocks"),
        ({"targets": [{**LIS, "format": "hl8"}]}, "format is 'hl8'; give one of text, message"),
        ({"targets": [{**LIS, "format": "mesage"}]}, "format is 'mesage'; did you mean 'message'"),
        ({"targets": [{**LIS, "format": "MESSAGE"}]}, "did you mean 'message'"),
        ({"targets": [{**LIS, "format": "text"}]}, "carries HL7 messages, and text is none"),
        ({"targets": [{**LIS, "drop": "x"}]}, "give one of them, a folder or HOST:PORT"),
        ({"targets": [{"name": "a", "format": "text"}]}, "give one of them"),
        ({"targets": [{**LIS, "mllp": "192.0.2.10"}]}, "give HOST:PORT"),
        ({"targets": [{**LIS, "mllp": "h:70000"}]}, "give HOST:PORT"),
        ({"targets": [{**LIS, "states": ["finl"]}]}, "has 'finl'; did you mean 'final'"),
        ({"targets": [{**LIS, "states": ["P"]}]}, "has 'P'; give some of preliminary"),
        ({"targets": [{**LIS, "states": ["final"]}]}, "has one of final and corrected; give both"),
        ({"targets": [{**LIS, "states": ["preliminary", "corrected"]}]}, "give both or none"),
        ({"targets": [{**LIS, "since": "2026-11-27"}]}, "give a time with offset"),
        ({"targets": [{**LIS, "since": "20261127T000000+0100"}]}, "give a time with offset"),
        ({"targets": [{**LIS, "since": "soon"}]}, "give a time with offset"),
        ({"targets": [{**LIS, "answer_s": 500}]}, "give a number from 0.1 to 120"),
        ({"targets": [{**LIS, "name": "a b"}]}, "give letters, digits"),
        ({"targets": [LIS, LIS]}, "'lis' again"),
        (
            {"targets": [DROP, {**DROP, "name": "b"}]},
            "targets[1].drop and targets[0].drop are one folder; an importer takes every file",
        ),
        (
            {"targets": [DROP, {**DROP, "name": "b", "drop": "lis/b"}]},
            "targets[1].drop and targets[0].drop contain each other",
        ),
        ({"state_dir": "lis/state"}, "state_dir is inside targets[1].drop"),
        (
            {"targets": [{**DROP, "drop": "results/lis"}]},
            "targets[0].drop and sidecars.folder contain each other",
        ),
        ({"sidecars": {"folder": "lis/results"}}, "contain each other"),
        ({"sidecars": {}}, "sidecars.folder is missing"),
        ({"sidecars": {"folder": "r", "sample": "{x}"}}, "sidecars.sample is wrong"),
        ({"sidecars": {"folder": "r", "sample": "{sampel_id}/*"}}, "did you mean {sample_id}"),
        ({"slides": {"quiet": 5}}, "slides.quiet is not a known key; did you mean 'quiet_s'"),
        ({"limits": {"most_unsure": 2}}, "give a number from 0 to 1"),
    ],
)
def test_wrong_configuration_is_refused_with_what_to_do(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, **changes)
    assert said in str(caught.value)


def test_folders_that_are_one_through_a_link_are_refused(tmp_path: Path) -> None:
    (tmp_path / "lis").mkdir()
    (tmp_path / "link").symlink_to("lis")
    (tmp_path / "results").symlink_to("lis")
    linked = {**DROP, "name": "b", "drop": "link"}
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, state_dir="link/state", targets=[DROP, linked])
    said = str(caught.value)
    assert "targets[1].drop and targets[0].drop are one folder" in said
    assert "targets[0].drop and sidecars.folder are one folder" in said
    assert "state_dir is inside targets[0].drop" in said


@pytest.mark.parametrize("format_", [None, "hl8", 8])
def test_missing_or_wrong_format_is_told_once(tmp_path: Path, format_: object) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, targets=[{**LIS, "format": format_}])
    assert str(caught.value).count("targets[0].format") == 1


def test_shipped_example_is_whole_and_has_the_defaults(tmp_path: Path) -> None:
    config = load_send_config(ROOT / "systemd" / "results.yaml", shipped.FORMATS)
    usual = load(tmp_path)
    assert [target.name for target in config.targets] == ["senaite", "lis"]
    assert config.slides.completeness == usual.slides.completeness
    assert config.slides.limits == usual.slides.limits
    assert (config.poll_s, config.keep_days) == (usual.poll_s, usual.keep_days)
    for target in config.targets:
        assert (target.states, target.retries) == (
            usual.targets[0].states,
            usual.targets[0].retries,
        )
