"""Tests for `edge-results install` and `uninstall`, into the folder of another system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from daemon.cli import main as daemon_main
from edge.results.cli import main
from edge.results.formats.shipped.table import FORMATS
from edge.results.send.config import load_send_config
from tests.support.digests import digests
from tests.support.machine.install_image import make_image, needs_root
from tests.support.machine.unit_files import FOLDER

UNIT = Path("etc/systemd/system/edge-results@.service")
DROP_INS = Path("etc/systemd/system/edge-results@dm2.service.d")
CONFIG = Path("etc/microscope-edge/results-dm2.yaml")
RECORD = Path("etc/microscope-edge/results-dm2.installed")
SYSUSERS = Path("etc/sysusers.d/edge-daemon.conf")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    return make_image(tmp_path / "machine")


def install(machine: Path, *words: str, code: int = 0) -> None:
    assert main(["install", "--instance", "dm2", "--root", str(machine), *words]) == code


def settings(machine: Path, name: str) -> list[str]:
    lines = (machine / DROP_INS / name).read_text().splitlines()
    return [line for line in lines if not line.startswith(("#", "["))]


@needs_root
def test_install_writes_unit_user_configuration_and_drop_ins(machine: Path) -> None:
    install(machine, "--share", "labshare", "--prefix", "/usr/local/edge")
    unit = (FOLDER / "edge-results@.service").read_text()
    assert (machine / UNIT).read_text() == unit.replace("/opt/microscope-edge", "/usr/local/edge")
    assert (machine / SYSUSERS).read_text() == (FOLDER / "edge-daemon.sysusers.conf").read_text()
    # A configuration that works but for its folders and receivers.
    config = load_send_config(machine / CONFIG, FORMATS)
    assert config.state_dir == Path("/var/lib/microscope-edge-results/dm2")
    assert config.slides.sidecars == Path("/srv/dm2/results")
    assert config.slides.bundles == ()
    assert "dm96" not in (machine / CONFIG).read_text()
    assert settings(machine, "share.conf") == ["SupplementaryGroups=labshare"]
    assert "IPAddressAllow=192.0.2.10" in settings(machine, "mllp.conf")
    assert (machine / "usr/local/bin/edge-results").stat().st_mode & 0o111
    assert (machine / "usr/local/share/man/man1/edge-results.1").exists()


@needs_root
def test_install_for_openelis_with_a_bundle_writes_both_into_the_configuration(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(machine)
    assert "names no bundle (slides.bundles)" in capsys.readouterr().out
    (machine / CONFIG).unlink()
    bundle = "/srv/Modelle Ä/cells8.edge"
    install(machine, "--drop", "/srv/lis", "--format", "openelis", "--bundle", bundle)
    assert "names no bundle" not in capsys.readouterr().out
    config = load_send_config(machine / CONFIG, FORMATS)
    assert config.slides.bundles == (Path(bundle),)
    (target,) = config.targets
    assert (target.name, target.format.name, target.place) == (
        "openelis",
        "openelis",
        Path("/srv/lis"),
    )
    install(machine, "--drop", "/srv/lis", "--format", "json", code=2)
    assert "is kept, and has openelis" in capsys.readouterr().err
    (machine / CONFIG).unlink()
    install(machine, "--format", "json", code=2)
    assert "give --drop too" in capsys.readouterr().err


@needs_root
def test_drop_ins_follow_the_configuration_and_a_second_time_changes_nothing(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(machine, "--drop", "/srv/lis box", "--share", "labshare")
    assert settings(machine, "share.conf") == [
        'ReadWritePaths="-/srv/lis box"',
        "SupplementaryGroups=labshare",
    ]
    assert not (machine / DROP_INS / "mllp.conf").exists()
    before = digests(machine)
    capsys.readouterr()
    install(machine)
    assert digests(machine) == before
    told = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line[0] != " "}
    assert {"write", "change", "keep", "remove"}.isdisjoint(told)

    fields = yaml.safe_load((machine / CONFIG).read_text())
    fields["targets"] = [
        {"name": name, "format": "hl7-oru", "mllp": f"{address}:6661"}
        for name, address in (("a", "10.0.0.7"), ("b", "[fd00::7]"), ("c", "10.0.0.7"))
    ]
    (machine / CONFIG).write_text(yaml.safe_dump(fields))
    install(machine)
    assert settings(machine, "share.conf") == ["SupplementaryGroups=labshare"]
    assert settings(machine, "mllp.conf") == [
        "PrivateNetwork=no",
        "IPAddressDeny=any",
        "IPAddressAllow=10.0.0.7",
        "IPAddressAllow=fd00::7",
        "RestrictAddressFamilies=AF_INET AF_INET6",
    ]


@needs_root
def test_install_keeps_a_persons_files_and_refuses_what_contradicts_them(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(machine, "--mllp", "10.0.0.7:6661")
    own = machine / DROP_INS / "mllp.conf"
    own.write_text("[Service]\nPrivateNetwork=no\nIPAddressAllow=10.0.0.8\n")
    before = digests(machine)
    install(machine, "--mllp", "10.0.0.9:6661", "--sidecars", "/srv/x", code=2)
    kept = "/etc/microscope-edge/results-dm2.yaml is kept, and has"
    change = "Change it there, then install again without this option."
    assert capsys.readouterr().err.splitlines() == [
        f"error: --sidecars /srv/x: {kept} /srv/dm2/results. {change}",
        f"error: --mllp 10.0.0.9:6661: {kept} 10.0.0.7:6661. {change}",
    ]
    assert digests(machine) == before
    install(machine)
    assert own.read_text().endswith("10.0.0.8\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--drop", "/home/lis"], "the unit cannot see this folder, which is below /home"),
        (["--drop", "lis"], "give an absolute, printable path"),
        (["--mllp", "lis.example:6661"], "is a name, which the unit does not look up"),
        (["--mllp", "10.0.0.7"], "give HOST:PORT"),
        (["--share", "nobodys"], "there is no such group"),
        (["--prefix", "/opt/a b"], "give a path of letters"),
        (["--instance", "../x"], "give letters, digits"),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_install_refuses_what_cannot_work_and_writes_nothing(
    machine: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    before = digests(machine)
    install(machine, "--dry-run", *words, code=2)
    assert said in capsys.readouterr().err
    assert digests(machine) == before


def test_dry_run_tells_all_and_changes_nothing(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(machine)
    install(machine, "--dry-run")
    out = capsys.readouterr().out
    for path in (UNIT, CONFIG, DROP_INS / "mllp.conf", SYSUSERS):
        assert f"write  /{path}" in out
    assert digests(machine) == before


def test_install_by_another_user_is_refused(
    machine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    install(machine, code=2)
    assert "run it as root" in capsys.readouterr().err


@needs_root
def test_wrong_configuration_is_told_before_anything_is_written(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (machine / CONFIG).parent.mkdir()
    (machine / CONFIG).write_text("stat_dir: /x\n")
    before = digests(machine)
    install(machine, code=2)
    said = capsys.readouterr().err
    assert "/etc/microscope-edge/results-dm2.yaml: stat_dir" in said
    assert digests(machine) == before


@needs_root
def test_uninstall_removes_what_was_written_and_keeps_results_and_configuration(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--instance", "dm2", "--root", str(machine)]
    assert main(["uninstall", *words]) == 2
    assert "edge-results@dm2 is not installed here" in capsys.readouterr().err
    install(machine)
    state = machine / "var/lib/microscope-edge-results/dm2/issued.sqlite3"
    state.parent.mkdir(parents=True)
    state.write_text("results")
    assert main(["uninstall", *words]) == 0
    left = {str(path.relative_to(machine)) for path in machine.rglob("*") if path.is_file()}
    here = {
        path for path in left if path.startswith(("etc/microscope", "etc/systemd", "usr", "var"))
    }
    assert here == {str(CONFIG), str(state.relative_to(machine))}
    assert not (machine / DROP_INS).exists()


@needs_root
@pytest.mark.parametrize("is_daemon_first", [True, False], ids=["daemon-first", "results-first"])
def test_daemon_and_results_share_their_user_and_neither_takes_it_away(
    machine: Path, *, is_daemon_first: bool
) -> None:
    here = ["--root", str(machine)]
    assert daemon_main(["install", *here]) == 0
    install(machine)
    assert daemon_main(["install", *here]) == 0
    if is_daemon_first:
        assert daemon_main(["uninstall", *here, "--purge"]) == 0
        assert (machine / UNIT).exists()
        assert (machine / CONFIG).exists()
        assert (machine / SYSUSERS).exists()
        assert main(["uninstall", "--instance", "dm2", *here]) == 0
    else:
        assert main(["uninstall", "--instance", "dm2", *here]) == 0
        assert (machine / SYSUSERS).exists()
        assert daemon_main(["uninstall", *here]) == 0
    assert not (machine / SYSUSERS).exists()


@needs_root
def test_folders_of_another_service_are_refused_until_that_one_is_gone(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(machine, "--sidecars", "/srv/a", "--drop", "/srv/lis")
    other = ["install", "--instance", "dm3", "--root", str(machine), "--sidecars", "/srv/a"]
    assert main([*other, "--drop", "/srv/lis"]) == 2
    said = capsys.readouterr().err
    for folder in ("/srv/a", "/srv/lis"):
        assert f"{folder} belongs to edge-results@dm2 ({Path('/') / CONFIG})" in said
    assert main(["uninstall", "--instance", "dm2", "--root", str(machine)]) == 0
    assert main([*other, "--drop", "/srv/lis"]) == 0


def test_configuration_of_results_is_no_daemon(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (machine / CONFIG).parent.mkdir()
    (machine / CONFIG).write_text("{}\n")
    words = ["--root", str(machine), "--dry-run"]
    assert daemon_main(["uninstall", *words]) == 2
    assert "Installed here" not in capsys.readouterr().err
    assert daemon_main(["install", *words, "--instance", "results-dm2"]) == 2
    assert "this name is reserved" in capsys.readouterr().err
