"""Tests for daemon.install.install over an installation: what is there decides what is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from daemon.cli import main
from tests.support.digests import digests
from tests.support.machine.install_image import CONFIG, UNIT, needs_root
from tests.support.machine.unit_files import DROP_INS


@needs_root
def test_install_never_overwrites_a_persons_configuration_and_refuses_options_that_contradict_it(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = (
        "bundle: /srv/mine.edge\nwatch: [{folder: /srv/mine/export}]\nstate_dir: /srv/state\n"
        "results: {folder: null}\n"
    )
    (machine / CONFIG).parent.mkdir()
    (machine / CONFIG).write_text(mine)
    before = digests(machine)
    words = ["--bundle", "/srv/other.edge", "--watch", "/srv/mine/export", "--results", "/srv/r"]
    assert main(["install", "--root", str(machine), *words]) == 2
    kept = "/etc/microscope-edge/edge.yaml is kept, and has"
    change = "Change it there, then install again without this option."
    assert capsys.readouterr().err.splitlines() == [
        f"error: --bundle /srv/other.edge: {kept} /srv/mine.edge. {change}",
        f"error: --results /srv/r: {kept} null. {change}",
    ]
    assert digests(machine) == before
    # What it says already may be given, and what the unit may write to follows it.
    words = ["--bundle", "/srv/mine.edge", "--watch", "/srv/mine/export"]
    assert main(["install", "--root", str(machine), *words]) == 0
    assert (machine / CONFIG).read_text() == mine
    assert write_paths(machine) == ["-/srv/mine/export", "-/srv/state"]


@needs_root
def test_install_again_keeps_folders_group_gpu_and_prefix_of_before(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--results", "/srv/lab/results", "--share", "labshare", "--gpu"]
    install_ = ["install", "--root", str(machine)]
    assert main([*install_, *words, "--prefix", "/usr/local/edge"]) == 0
    before = digests(machine)
    capsys.readouterr()
    assert main([*install_, "--dry-run"]) == 0
    out = capsys.readouterr().out
    told = {line.split()[0] for line in out.splitlines() if not line.startswith(" ")}
    assert {"write", "change", "keep", "remove"}.isdisjoint(told)
    assert "dm96" not in out
    assert main(install_) == 0
    assert digests(machine) == before
    assert "ExecStart=/usr/local/edge/bin/edge-daemon run" in (machine / UNIT).read_text()


@needs_root
def test_what_the_unit_may_write_follows_a_configuration_that_a_person_changed(
    machine: Path,
) -> None:
    install_ = ["install", "--root", str(machine)]
    assert main([*install_, "--results", "/srv/a"]) == 0
    config, share = machine / CONFIG, machine / f"{UNIT}.d" / "share.conf"
    text = config.read_text()
    assert write_paths(machine) == ["-/srv/a"]
    config.write_text(text.replace("folder: /srv/a\n", 'folder: "/srv/b 🔬"\n'))
    assert main(install_) == 0
    assert write_paths(machine) == ['"-/srv/b 🔬"']
    # Where the unit itself may write, nothing more is opened.
    config.write_text(text.replace("folder: /srv/a\n", "folder: /srv/dm96/results\n"))
    assert main(install_) == 0
    assert not share.exists()


@needs_root
def test_results_folder_of_the_example_is_made_only_where_nobody_named_it(machine: Path) -> None:
    install_ = ["install", "--root", str(machine)]
    made = machine / "etc/tmpfiles.d/edge-daemon.conf"
    assert main([*install_, "--results", "/srv/dm96/results"]) == 0
    # It may belong to a group of the person's; at each boot it would be made the service's.
    assert "/srv/dm96" not in made.read_text()
    assert main(install_) == 0
    assert "/srv/dm96" not in made.read_text()
    instance = [*install_, "--instance", "b"]
    for _ in range(2):
        assert main(instance) == 0
        assert "d /srv/b/results" in made.with_name("edge-daemon-b.conf").read_text()


@needs_root
def test_drop_in_that_a_person_changed_is_kept(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install_ = ["install", "--root", str(machine)]
    assert main([*install_, "--results", "/srv/a"]) == 0
    share = machine / f"{UNIT}.d" / "share.conf"
    share.write_text(share.read_text() + "ReadWritePaths=/srv/more\n")
    mine = share.read_text()
    capsys.readouterr()
    assert main(install_) == 0
    assert share.read_text() == mine
    out = capsys.readouterr().out
    assert f"keep   /{UNIT}.d/share.conf, which is yours; a new one would differ:\n" in out
    assert "       -ReadWritePaths=/srv/more\n" in out


@needs_root
def test_group_that_systemd_does_not_find_by_its_name_is_given_by_number(machine: Path) -> None:
    group = machine / "etc" / "group"
    group.write_text(group.read_text() + "domain users:x:7777:\n")
    install_ = ["install", "--root", str(machine)]
    share = machine / f"{UNIT}.d" / "share.conf"
    for words in (["--share", "domain users"], []):
        assert main([*install_, *words]) == 0
        assert share.read_text().splitlines()[-1] == "SupplementaryGroups=7777"


@needs_root
def test_group_that_is_gone_since_the_installation_is_told(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install_ = ["install", "--root", str(machine)]
    assert main([*install_, "--share", "labshare"]) == 0
    group = machine / "etc" / "group"
    group.write_text(group.read_text().replace("labshare:", "another:"))
    capsys.readouterr()
    assert main(install_) == 2
    assert "error: the group labshare of /etc/systemd/" in capsys.readouterr().err
    assert main([*install_, "--share", "another"]) == 0


@needs_root
def test_drop_in_that_a_person_copied_is_not_removed(machine: Path) -> None:
    copied = machine / f"{UNIT}.d" / "metrics.conf"
    copied.parent.mkdir(parents=True)
    shutil.copy(DROP_INS / "metrics.conf", copied)
    assert main(["install", "--root", str(machine)]) == 0
    assert copied.read_bytes() == (DROP_INS / "metrics.conf").read_bytes()


@needs_root
def test_drop_in_copied_from_a_version_with_other_comments_is_brought_up_to_date(
    machine: Path,
) -> None:
    copied = machine / f"{UNIT}.d" / "gpu.conf"
    copied.parent.mkdir(parents=True)
    lines = (DROP_INS / "gpu.conf").read_text().splitlines()
    earlier = ["# As an earlier version said it.", *(x for x in lines if not x.startswith("#"))]
    copied.write_text("\n".join(earlier) + "\n")
    assert main(["install", "--root", str(machine), "--gpu"]) == 0
    assert copied.read_bytes() == (DROP_INS / "gpu.conf").read_bytes()
    copied.write_text("\n".join([*earlier, "Nice=5"]) + "\n")
    assert main(["install", "--root", str(machine), "--gpu"]) == 0
    assert "Nice=5" in copied.read_text()


LOOPBACK = ["PrivateNetwork=no", "IPAddressDeny=any", "IPAddressAllow=localhost"]


@pytest.mark.parametrize(
    ("metrics", "lines"),
    [
        ("null", None),
        ("{listen: 'unix:/run/microscope-edge/metrics.sock'}", None),
        ("{listen: '127.0.0.1:9464'}", [*LOOPBACK, "RestrictAddressFamilies=AF_INET"]),
        (
            "{listen: '[::1]:9464', file: /var/lib/prometheus/edge.prom}",
            [
                *LOOPBACK,
                "RestrictAddressFamilies=AF_INET6",
                "ReadWritePaths=-/var/lib/prometheus",
            ],
        ),
        ("{listen: 'unix:/srv/100 %/m.sock'}", ['ReadWritePaths="-/srv/100 %%"']),
    ],
)
@needs_root
def test_unit_is_opened_for_the_metrics_of_the_configuration_and_for_no_more(
    machine: Path, metrics: str, lines: list[str] | None
) -> None:
    install_ = ["install", "--root", str(machine)]
    assert main(install_) == 0
    config, drop_in = machine / CONFIG, machine / f"{UNIT}.d" / "metrics.conf"
    text = config.read_text()
    config.write_text(text.replace("metrics: null", f"metrics: {metrics}"))
    assert main(install_) == 0
    written = drop_in.read_text().splitlines() if drop_in.exists() else []
    settings = [line for line in written[2:] if line[0] != "#"]
    assert (settings or None) == lines
    config.write_text(text)
    assert main(install_) == 0
    assert not drop_in.exists()


@needs_root
def test_configuration_that_is_there_and_wrong_ends_the_installation_with_its_problems(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (machine / CONFIG).parent.mkdir()
    (machine / CONFIG).write_text("bundle: /srv/mine.edge\n")
    before = digests(machine)
    assert main(["install", "--root", str(machine)]) == 2
    error = capsys.readouterr().err
    assert "watch is missing" in error
    assert "state_dir is missing" in error
    assert digests(machine) == before


def test_problems_of_group_instance_and_paths_are_told_together(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--share", "nosuch", "--instance", "a b", "--results", "relative"]
    assert main(["install", "--dry-run", "--root", str(machine), *words]) == 2
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == [
        "--instance",
        "--results",
        "--share",
    ]


def test_folders_that_are_missing_are_told_beside_a_missing_group(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--share", "nosuch", "--results", "/srv/nosuch/r", "--watch", "/srv/nosuch/w"]
    assert main(["install", "--dry-run", *words]) == 2
    error = capsys.readouterr().err
    assert "--share nosuch: there is no such group" in error
    assert "--results /srv/nosuch/r: there is no such folder yet" in error
    assert "--watch /srv/nosuch/w: there is no such folder yet" in error


def test_option_with_a_problem_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--dry-run", "--watch", "nosuch/export"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: --watch 'nosuch/export': give an absolute, printable path without .. in it."
    ]


@needs_root
@pytest.mark.parametrize(
    ("words", "taken"),
    [
        (["--watch", "/srv/dm96/export"], "/srv/dm96/export"),
        (["--watch", "/srv/dm96/export/ward"], "/srv/dm96/export/ward"),
        (["--watch", "/srv/dm96"], "/srv/dm96"),
        (["--results", "/srv/dm96/results"], "/srv/dm96/results"),
    ],
)
def test_folder_of_another_daemon_is_refused_until_that_one_is_gone(
    machine: Path, words: list[str], taken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    install = ["install", "--root", str(machine), "--instance"]
    assert main([*install, "dm96"]) == 0
    assert main([*install, "dm9"]) == 0
    capsys.readouterr()
    assert main([*install, "other", *words]) == 2
    assert capsys.readouterr().err == (
        f"error: {taken} belongs to edge-daemon@dm96 (/etc/microscope-edge/dm96.yaml). Give each "
        "daemon its own folders, or remove that one first: edge-daemon uninstall --instance dm96\n"
    )
    assert main(["uninstall", "--root", str(machine), "--instance", "dm96"]) == 0
    assert main([*install, "other", *words]) == 0


def write_paths(machine: Path) -> list[str]:
    """What the drop-in for folders lets the unit write to."""
    lines = (machine / f"{UNIT}.d" / "share.conf").read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith("ReadWritePaths=")]
