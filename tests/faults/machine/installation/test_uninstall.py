"""Removal and status under a real systemd."""

from __future__ import annotations

from tests.faults.machine.installation.instance import Instance
from tests.support.images import Jpeg
from tests.support.machine.systemd_lab import (
    PROGRAM,
)


def test_status_takes_the_installed_configuration_and_asks_where_there_are_several(
    instance: Instance,
) -> None:
    machine = instance.machine
    instance.install()
    instance.start()
    instance.labels("red")
    machine.run("systemctl", "stop", instance.unit)
    result = instance.edge("status")
    assert result.returncode == 0
    assert f"systemctl start {instance.unit.removesuffix('.service')}\n" in result.stdout
    another = [machine.at(f"/etc/microscope-edge/another.{end}") for end in ("yaml", "installed")]
    for path in another:
        path.write_text("")
    try:
        result = machine.run(PROGRAM, "status", is_checked=False)
    finally:
        for path in another:
            path.unlink()
    assert result.returncode == 2
    assert result.stderr == (
        f"error: several daemons are installed: another, {instance.name}. "
        "Say which: --instance NAME.\n"
    )


def test_uninstall_stops_the_service_and_removes_what_was_installed_alone(
    instance: Instance,
) -> None:
    machine = instance.machine
    instance.install()
    machine.run("systemctl", "enable", "--now", instance.unit)
    instance.labels("blue")
    by_hand = machine.at(f"{instance.drop_ins}/mine.conf")
    by_hand.parent.mkdir(exist_ok=True)
    by_hand.write_text("[Service]\nNice=5\n")

    told = instance.edge("uninstall", "--dry-run").stdout
    assert machine.show(instance.unit, "ActiveState") == "active"
    result = instance.edge("uninstall")
    assert (result.returncode, result.stdout) == (0, told)
    assert machine.show(instance.unit, "ActiveState") == "inactive"
    assert machine.show(instance.unit, "UnitFileState") in ("", "disabled")
    assert f"keep   {instance.drop_ins}/mine.conf: " in told
    assert by_hand.is_file()
    assert not machine.at(f"/etc/tmpfiles.d/edge-daemon-{instance.name}.conf").exists()
    # Journal, configuration and results stay.
    assert machine.at(f"{instance.state}/journal.sqlite3").is_file()
    assert machine.at(instance.config).is_file()
    assert [*machine.at(instance.results).glob("*.json")]
    assert machine.run("id", "-u", "edge").stdout.strip() != "0"

    result = instance.edge("uninstall", "--purge")
    assert result.returncode == 0
    assert not machine.at(instance.state).exists()
    assert not machine.at(instance.config).exists()
    assert [*machine.at(instance.results).glob("*.json")]
    assert [*machine.at(instance.export).glob("*.jpg")]
    result = instance.edge("uninstall")
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: edge-daemon@{instance.name} is not installed here.")


def test_uninstall_of_one_instance_leaves_the_other_at_work(
    instance: Instance, colour_jpeg: Jpeg
) -> None:
    machine = instance.machine
    other = Instance(machine, f"{instance.name}b", colour_jpeg)
    instance.install()
    other.install()
    other.start()
    assert instance.edge("uninstall", "--purge").returncode == 0
    machine.run("systemctl", "restart", other.unit)
    other.labels("red")
    assert other.edge("uninstall", "--purge").returncode == 0
    assert not machine.at("/etc/systemd/system/edge-daemon@.service").exists()
    assert not machine.at("/usr/local/share/man/man1/edge-daemon.1").exists()
