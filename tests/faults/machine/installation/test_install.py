"""`edge-daemon install`, its check in the unit's sandbox, and `uninstall`, under a real systemd.

Each test has an instance of its own on one machine, so that none sees what another left.

    pytest tests/faults/machine/installation      # as root, with systemd-nspawn
"""

from __future__ import annotations

import json

import pytest

from tests.faults.machine.installation.instance import Instance
from tests.support.machine.nspawn import Machine
from tests.support.machine.systemd_lab import (
    BUNDLE,
    PYTHON,
    add_command,
)
from tests.support.waiting import until

METRICS_FOLDER = "/var/lib/node-exporter"


CLIENT = """
import http.client, socket, sys
address = sys.argv[1]
connection = http.client.HTTPConnection("localhost" if "unix:" in address else address)
if "unix:" in address:
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(address.removeprefix("unix:"))
connection.request("GET", "/health")
print(connection.getresponse().read().decode())
"""


def test_what_is_missing_is_told_at_once_after_the_installation_and_can_be_checked_again(
    instance: Instance,
) -> None:
    machine = instance.machine
    machine.run("rmdir", instance.export)
    result = instance.edge("install", "--bundle", "/opt/nosuch.edge")
    assert result.returncode == 2
    errors = result.stderr.splitlines()
    again = f"edge-daemon check-config --installed --instance {instance.name}"
    assert errors[-1] == (
        "error: everything is installed, but the service could not label now. Correct the problems "
        f"above, then: {again}"
    )
    assert f"error: watch folder {instance.export} is not there. Mount or create it." in errors
    assert any("/opt/nosuch.edge" in line for line in errors)
    assert machine.at("/etc/systemd/system/edge-daemon@.service").is_file()

    machine.run("mkdir", instance.export)
    instance.configure(bundle=BUNDLE)
    result = instance.edge("check-config", "--installed")
    assert result.returncode == 0
    assert "error" not in result.stderr.replace("Error in cpuinfo", "")
    assert "golden images got the right labels" in result.stdout
    # Nothing of the check stays, and what it said is in no log.
    assert not [*machine.at("/run").glob("edge-daemon-check-*")]
    assert not [*machine.at("/run/systemd/system").glob("edge-daemon-check*")]
    journal = machine.run("journalctl", "--no-pager").stdout
    assert "golden images got the right labels" not in journal


@pytest.mark.parametrize(
    "name", ["5 % of 'a' \"b\"", "back\\slash\\", "ü 🔬", "$HOME", "#1; x", "%i", "a\\x20b"]
)
def test_results_folder_of_any_name_is_written_to(instance: Instance, name: str) -> None:
    results = f"/srv/{instance.name}/{name}"
    instance.machine.run("install", "-d", "-o", "root", "-m", "0755", results)
    result = instance.edge("install", "--bundle", BUNDLE, "--results", results)
    assert result.returncode == 2
    # The unit opens the folder, whose owner alone is wrong.
    assert f"no sidecars can be written to {results}. Give the user edge" in result.stderr
    instance.machine.run("chown", "edge:", results)
    instance.install()
    instance.start()
    instance.labels("green", results=results)


def test_results_beside_the_image_are_written(instance: Instance) -> None:
    instance.install()
    instance.configure(results={"folder": None})
    instance.machine.run("chown", "edge:", instance.export)
    result = instance.edge("check-config", "--installed")
    assert result.returncode == 2
    assert "It is read-only here: run `edge-daemon install` again" in result.stderr
    instance.install()
    instance.start()
    instance.labels("red", results=instance.export)


def test_each_kind_of_metrics_that_the_example_names_can_be_read_outside(
    instance: Instance,
) -> None:
    machine = instance.machine
    instance.install()
    socket = f"unix:/run/microscope-edge/{instance.name}/metrics.sock"
    assert f"listen: {socket}" in machine.at(instance.config).read_text()
    machine.run("install", "-d", METRICS_FOLDER)
    file = f"{METRICS_FOLDER}/{instance.name}.prom"

    instance.configure(metrics={"listen": "127.0.0.1:9464", "file": file})
    result = instance.edge("check-config", "--installed")
    assert result.returncode == 2
    assert "metrics.listen 127.0.0.1:9464 cannot be used" in result.stderr
    assert f"metrics.file {file}: {METRICS_FOLDER} is read-only here" in result.stderr
    machine.run("chown", "edge:", METRICS_FOLDER)
    instance.install()
    instance.start()
    until(lambda: health(machine, "127.0.0.1:9464") == "ok")
    until(machine.at(file).is_file, timeout_s=30)

    instance.configure(metrics={"listen": socket})
    instance.install()
    assert not machine.at(f"{instance.drop_ins}/metrics.conf").exists()
    machine.run("systemctl", "restart", instance.unit)
    until(lambda: health(machine, socket) == "ok")
    # A check beside the running service leaves its socket where it is.
    assert instance.edge("check-config", "--installed").returncode == 0
    assert health(machine, socket) == "ok"


def health(machine: Machine, address: str) -> str | None:
    """What /health says to root outside of the sandbox; None where nothing answers."""
    python = ("env", "LD_LIBRARY_PATH=/opt/python/lib", PYTHON)
    result = machine.run(*python, "-c", CLIENT, address, is_checked=False)
    return str(json.loads(result.stdout)["status"]) if result.returncode == 0 else None


def test_folder_that_the_unit_hides_is_named_as_hidden(instance: Instance) -> None:
    instance.install()
    hidden = f"/home/{instance.name}"
    instance.machine.run("mkdir", "-p", hidden)
    link = f"/srv/{instance.name}/link"
    instance.machine.run("ln", "-s", hidden, link)
    instance.configure(watch=[{"folder": link}])
    result = instance.edge("check-config", "--installed")
    assert result.returncode == 2
    assert f"{link} is below /home, which the unit does not see" in result.stderr


@pytest.mark.parametrize("link", ["python", "venv"])
def test_program_whose_python_the_unit_cannot_see_is_refused(instance: Instance, link: str) -> None:
    machine, prefix = instance.machine, f"/opt/{instance.name}"
    machine.run("mkdir", "-p", "/root/py/bin")
    machine.at("/root/py/bin/python").write_bytes(machine.at("/bin/true").read_bytes())
    machine.run("chmod", "-R", "a+rx", "/root/py")
    if link == "venv":
        machine.run("ln", "-s", "/root/py", prefix)
    else:
        machine.run("mkdir", "-p", f"{prefix}/bin")
        machine.run("ln", "-s", "/root/py/bin/python", f"{prefix}/bin/python")
    real = "/root/py" if link == "venv" else prefix
    program = machine.at(f"{real}/bin/edge-daemon")
    program.write_text(f"#!{prefix}/bin/python\n")
    program.chmod(0o755)
    result = instance.edge("install", "--bundle", BUNDLE, "--prefix", prefix)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "/root" in result.stderr
    assert not machine.at(instance.config).exists()


def test_program_that_the_user_edge_may_not_start_is_named(instance: Instance) -> None:
    machine, prefix = instance.machine, f"/opt/{instance.name}"
    add_command(machine, f"{prefix}/bin/edge-daemon")
    machine.run("chmod", "0700", prefix)
    result = instance.edge("install", "--bundle", BUNDLE, "--prefix", prefix)
    assert result.returncode == 5
    assert "systemd cannot start the program in the unit's sandbox: " in result.stderr
    assert (
        f"error: {prefix} is closed to the user edge. Open it: chmod o+x {prefix}" in result.stderr
    )
    machine.run("chmod", "0755", prefix)
    result = instance.edge("install", "--bundle", BUNDLE, "--prefix", prefix)
    assert result.returncode == 0


def test_program_that_fails_before_it_begins_is_told_in_one_line(instance: Instance) -> None:
    machine, prefix = instance.machine, f"/opt/{instance.name}"
    # As after `pip install -e` of sources that the user edge may not read.
    sources = f"/opt/{instance.name}-sources"
    machine.run("mkdir", sources)
    machine.run("cp", "-r", "/opt/checkout/daemon", "/opt/checkout/edge", "-t", sources)
    add_command(machine, f"{prefix}/bin/edge-daemon")
    program = machine.at(f"{prefix}/bin/edge-daemon")
    program.write_text(program.read_text().replace("/opt/checkout", sources))
    machine.run("chmod", "0700", sources)
    result = instance.edge("install", "--bundle", BUNDLE, "--prefix", prefix)
    assert result.returncode == 5
    first, *_ = result.stderr.splitlines()
    assert first.startswith("error: the program cannot start in the unit's sandbox: ")
    assert "ModuleNotFoundError" in first


def test_results_folder_behind_a_link_is_written_to(instance: Instance) -> None:
    machine, real = instance.machine, f"/srv/{instance.name}/disk"
    machine.run("install", "-d", "-m", "0777", real)
    link = f"/srv/{instance.name}/link"
    machine.run("ln", "-s", real, link)
    instance.install("--results", link)
    instance.start()
    instance.labels("green", results=real)
