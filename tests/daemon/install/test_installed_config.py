"""Which configuration a command means that names none."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.cli import main
from daemon.install import place as install_place
from daemon.install.installed_config import installed_config, is_installed, unit_of
from edge.errors import ConfigError


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(install_place, "ETC", tmp_path)
    return tmp_path


def test_only_daemon_that_is_installed_is_meant(etc: Path) -> None:
    (etc / "dm96.yaml").touch()
    assert installed_config(None) == etc / "dm96.yaml"
    assert unit_of(etc / "dm96.yaml") == "edge-daemon@dm96"


def test_of_several_one_must_be_named_and_edge_is_the_one_without_a_name(etc: Path) -> None:
    for name in ("edge", "a", "b"):
        (etc / f"{name}.yaml").touch()
    with pytest.raises(ConfigError, match=r"^several daemons are installed: edge, a, b\. Say"):
        installed_config(None)
    assert installed_config("b") == etc / "b.yaml"
    assert installed_config("edge") == etc / "edge.yaml"
    assert unit_of(etc / "edge.yaml") == "edge-daemon"
    with pytest.raises(ConfigError, match=r"--instance c: no such daemon .* installed: edge, a"):
        installed_config("c")


def test_configuration_that_an_uninstallation_left_is_meant_by_its_name_alone(etc: Path) -> None:
    for name in ("a.yaml", "b.yaml", "b.installed"):
        (etc / name).touch()
    assert installed_config(None) == etc / "b.yaml"
    assert installed_config("a") == etc / "a.yaml"


def test_configuration_is_an_installed_one_while_its_daemon_is_installed(
    etc: Path, tmp_path: Path
) -> None:
    config = etc / "ward.yaml"
    config.touch()
    assert not is_installed(config)
    (etc / "ward.installed").touch()
    assert is_installed(config)
    (etc / "link.yaml").symlink_to(config)
    assert is_installed(etc / "link.yaml")
    assert not is_installed(tmp_path / "other.yaml")


@pytest.mark.parametrize("command", ["status", "retry", "check-config", "once"])
def test_command_without_configuration_where_none_is_installed_says_so_in_one_line(
    etc: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command]) == 2
    assert capsys.readouterr().err == (
        f"error: {etc}/edge.yaml is not there. Name a configuration with --config.\n"
    )


def test_status_takes_the_installed_configuration(
    etc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (etc / "edge.yaml").write_text("bundle: b.edge\n")
    assert main(["status"]) == 2
    assert f"error: {etc}/edge.yaml: watch is missing" in capsys.readouterr().err
