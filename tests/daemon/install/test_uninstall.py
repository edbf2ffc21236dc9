"""Tests for daemon.install.uninstall: on a folder that stands for the root of a machine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from daemon.cli import main
from daemon.install import uninstall
from daemon.install.place import Place
from daemon.supervision.running_daemon import Running
from daemon.system.locks import InUseError
from tests.support.digests import digests
from tests.support.machine.install_image import CONFIG, UNIT, needs_root

STATE = Path("var/lib/microscope-edge")

pytestmark = needs_root


class Edge(Protocol):
    """The fixture `edge`."""

    def __call__(self, command: str, *words: str) -> list[str]: ...


@pytest.fixture
def edge(machine: Path, capsys: pytest.CaptureFixture[str]) -> Edge:
    """Runs a command that must succeed; gives the lines that it printed."""

    def run(command: str, *words: str) -> list[str]:
        assert main([command, "--root", str(machine), *words]) == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_uninstall_leaves_the_configuration_the_state_and_the_user_and_no_file_else(
    machine: Path, edge: Edge
) -> None:
    edge("install", "--results", "/srv/lab/results", "--share", "labshare", "--gpu")
    (machine / STATE / "journal.sqlite3").write_text("journal")
    before = digests(machine)
    told = edge("uninstall", "--dry-run")
    assert digests(machine) == before
    assert edge("uninstall") == told
    kept = {"etc/microscope-edge/edge.yaml", "var/lib/microscope-edge/journal.sqlite3"}
    # What systemd-sysusers made stays.
    users = {"group", "gshadow", "passwd", "shadow", ".pwd.lock"}
    left = {name for name in digests(machine) if Path(name).name.rstrip("-") not in users}
    assert left == kept
    assert not (machine / f"{UNIT}.d").exists()
    assert "\nedge:" in "\n" + (machine / "etc/passwd").read_text()
    assert f"keep   /{CONFIG}: yours; --purge removes it" in told
    # A second time there is nothing to remove.
    assert main(["uninstall", "--root", str(machine)]) == 2


def test_files_that_somebody_changed_or_made_are_named_and_kept(machine: Path, edge: Edge) -> None:
    edge("install", "--results", "/srv/lab/results")
    drop_ins = machine / f"{UNIT}.d"
    for path in (machine / UNIT, drop_ins / "share.conf"):
        path.write_text(path.read_text() + "# mine\n")
    (drop_ins / "mine.conf").write_text("[Service]\nNice=5\n")
    told = edge("uninstall")
    for name in (f"/{UNIT}", f"/{UNIT}.d/share.conf", f"/{UNIT}.d/mine.conf"):
        assert any(line.startswith(f"keep   {name}: ") for line in told), name
        assert (machine / name.lstrip("/")).is_file()
    assert not (machine / "etc/tmpfiles.d/edge-daemon.conf").exists()


def test_purge_removes_state_and_configuration_and_never_results_or_other_instances(
    machine: Path, edge: Edge
) -> None:
    edge("install")
    edge("install", "--instance", "b")
    config = machine / CONFIG
    # Results within the state folder, as somebody may have it.
    results = "/var/lib/microscope-edge/results"
    config.write_text(config.read_text().replace("/srv/dm96/results", results))
    for name in ("journal.sqlite3", "engines/a.plan", "results/a.jpg.json", "b/journal.sqlite3"):
        (machine / STATE / name).parent.mkdir(exist_ok=True)
        (machine / STATE / name).write_text(name)
    edge("uninstall", "--purge")
    left = {str(p.relative_to(machine / STATE)) for p in (machine / STATE).rglob("*")}
    assert left == {"results", "results/a.jpg.json", "b", "b/journal.sqlite3"}
    assert not config.exists()
    assert (machine / "etc/microscope-edge/b.yaml").is_file()
    assert (machine / "etc/sysusers.d/edge-daemon.conf").is_file()

    edge("uninstall", "--instance", "b", "--purge")
    assert not (machine / STATE / "b").exists()
    assert not (machine / "etc/microscope-edge").exists()
    assert not (machine / "etc/sysusers.d/edge-daemon.conf").exists()


def test_purge_leaves_a_mount_within_the_state_folder_alone(
    machine: Path, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge("install")
    (machine / STATE / "engines").mkdir()
    mount = machine / STATE / "engines" / "disk"
    monkeypatch.setattr(uninstall, "mounts_below", lambda _folder: [mount])
    told = edge("uninstall", "--purge")
    assert f"keep   /{STATE}/engines: not only this daemon's state; remove it by hand" in told
    assert (machine / STATE / "engines").is_dir()


def test_purge_while_a_daemon_that_is_not_the_units_uses_the_state_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where systemd runs another process, or none, as the service.
    config = tmp_path / "edge.yaml"
    config.write_text(f"bundle: b.edge\nwatch: [{{folder: export}}]\nstate_dir: {tmp_path}/state\n")
    monkeypatch.setattr(Place, "config", config)
    monkeypatch.setattr(uninstall, "read_running", lambda _folder: Running(4711))
    with pytest.raises(InUseError, match="process 4711 uses"):
        uninstall.plan(Place(), is_purge=True)


def test_last_daemon_removes_a_unit_that_the_installation_of_another_replaced(
    machine: Path, edge: Edge
) -> None:
    edge("install", "--instance", "a")
    edge("install", "--instance", "b", "--prefix", "/usr/local/edge")
    unit = machine / "etc/systemd/system/edge-daemon@.service"
    edge("uninstall", "--instance", "b")
    assert unit.is_file()
    # The configuration of b, which stays, does not count as a daemon that needs the unit.
    edge("uninstall", "--instance", "a")
    assert not unit.exists()


def test_installation_without_a_record_says_how_to_remove_it(
    machine: Path, edge: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    edge("install")
    (machine / "etc/microscope-edge/edge.installed").unlink()
    assert main(["uninstall", "--root", str(machine)]) == 2
    assert "Run `edge-daemon install` once more, then uninstall." in capsys.readouterr().err
    assert (machine / UNIT).is_file()


def test_uninstall_of_what_is_not_there_names_what_is(
    machine: Path, edge: Edge, capsys: pytest.CaptureFixture[str]
) -> None:
    edge("install", "--instance", "b")
    assert main(["uninstall", "--root", str(machine)]) == 2
    assert capsys.readouterr().err == (
        "error: edge-daemon is not installed here. Installed here: edge-daemon@b.\n"
    )
