"""What the process that opens a model can no longer do, tried in such a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters.loading.sandbox import landlock, seccomp, syscalls
from tests.support.machine.bpf import ALLOWED, KILLED, decision
from tests.support.machine.confined import NO_LANDLOCK, NO_SECCOMP, has_landlock, run_confined

PROCESSORS = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
OWN = 4321


needs_landlock = pytest.mark.skipif(not has_landlock(), reason="the kernel has no Landlock")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("key")
    inside = tmp_path / "inside"
    inside.mkdir()
    return inside


@needs_landlock
def test_confined_process_reads_and_writes_in_its_folder_alone(folder: Path) -> None:
    outside = folder.parent
    found = run_confined(
        folder,
        f"""
outside = Path({str(outside)!r})
(Path.cwd() / "own").write_text("x")
found["own"] = (Path.cwd() / "own").read_text()
found["read"] = attempt((outside / "secret").read_text)
found["list"] = attempt(os.listdir, outside)
found["home"] = attempt(os.listdir, Path.home())
found["write"] = attempt((outside / "new").write_text, "x")
found["change"] = attempt((outside / "secret").write_text, "x")
found["remove"] = attempt(os.unlink, outside / "secret")
found["move"] = attempt(os.rename, Path.cwd() / "own", outside / "own")
found["shared"] = attempt(Path("/dev/shm/edge-test").write_text, "x")
found["password"] = attempt(Path("/etc/shadow").read_text)
found["others"] = attempt(Path(f"/proc/{{os.getppid()}}/environ").read_bytes)
""",
    )
    assert found.pop("guards").startswith("Landlock ")
    assert found.pop("own") == "x"
    # A rename to another file system or folder is refused as such.
    assert found.pop("move") in ("PermissionError", "OSError")
    assert set(found.values()) == {"PermissionError"}, found
    assert (outside / "secret").read_text() == "key"
    assert sorted(p.name for p in outside.iterdir()) == ["inside", "secret"]


@needs_landlock
def test_confined_process_imports_from_the_search_path(folder: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "mynetwork.py").write_text("WIDTH = 7\n")
    found = run_confined(
        folder,
        "import mynetwork, numpy\nfound['width'] = mynetwork.WIDTH",
        search_path=(library,),
    )
    assert found["width"] == 7


@needs_landlock
def test_confined_process_with_a_home_folder_on_the_search_path_reads_no_keys(
    folder: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id").write_text("key")
    (home / "letter.txt").write_text("private")
    (home / "mynetwork.py").write_text("WIDTH = 7\n")
    found = run_confined(
        folder,
        f"""
import mynetwork
found["width"] = mynetwork.WIDTH
found["key"] = attempt(Path({str(home / ".ssh" / "id")!r}).read_text)
found["letter"] = attempt(Path({str(home / "letter.txt")!r}).read_text)
""",
        before=f"os.environ['HOME'] = {str(home)!r}",
        search_path=(home,),
    )
    assert (found["width"], found["key"], found["letter"]) == (
        7,
        "PermissionError",
        "PermissionError",
    )


def test_confined_process_has_no_network_no_children_and_no_hold_on_others(folder: Path) -> None:
    found = run_confined(
        folder,
        """
import socket, subprocess, threading
from edge.system import kernel
done = []
thread = threading.Thread(target=lambda: done.append(1))
thread.start()
thread.join()
found["threads"] = len(done)
found["own signal"] = attempt(os.kill, os.getpid(), 0)
tried = found["tried"] = {}
tried["tcp"] = attempt(socket.socket)
tried["udp"] = attempt(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
tried["unix"] = attempt(socket.socket, socket.AF_UNIX)
tried["pair"] = attempt(socket.socketpair)
tried["fork"] = attempt(os.fork)
tried["program"] = attempt(subprocess.run, ["/bin/true"])
tried["exec"] = attempt(os.execv, "/bin/true", ["true"])
tried["signal"] = attempt(os.kill, os.getppid(), 0)
tried["group"] = attempt(os.kill, 0, 0)
tried["mode"] = attempt(os.chmod, "/dev/null", 0o666)
tried["owner"] = attempt(os.chown, "/dev/null", os.getuid(), os.getgid())
tried["times"] = attempt(os.utime, "/dev/null")
tried["trace"] = attempt(kernel.syscall, 101 if os.uname().machine == "x86_64" else 117, 0)
tried["outlive"] = attempt(kernel.prctl, 1, 0)
""",
    )
    assert found["guards"].endswith("seccomp")
    assert (found["threads"], found["own signal"]) == (1, "done")
    assert set(found["tried"].values()) == {"PermissionError"}, found["tried"]


def test_confine_on_a_kernel_without_landlock_says_so_and_keeps_seccomp(folder: Path) -> None:
    found = run_confined(
        folder,
        "import socket\nfound['tcp'] = attempt(socket.socket)",
        before=NO_LANDLOCK,
    )
    assert found["guards"] == "seccomp (no Landlock: Operation not supported)"
    assert found["tcp"] == "PermissionError"


@needs_landlock
def test_confine_on_a_kernel_without_seccomp_says_so_and_keeps_landlock(folder: Path) -> None:
    found = run_confined(
        folder,
        f"found['read'] = attempt(Path({str(folder.parent / 'secret')!r}).read_text)",
        before=NO_SECCOMP,
    )
    assert found["guards"].startswith("Landlock ")
    assert found["guards"].endswith(" (no seccomp: Invalid argument)")
    assert found["read"] == "PermissionError"


def test_confine_on_a_kernel_with_neither_says_none(folder: Path) -> None:
    found = run_confined(folder, "", before=NO_LANDLOCK + NO_SECCOMP)
    assert found["guards"] == (
        "none (no Landlock: Operation not supported; no seccomp: Invalid argument)"
    )


@pytest.mark.parametrize("machine", PROCESSORS)
def test_filter_denies_every_listed_call_and_allows_what_python_needs(machine: str) -> None:
    column, processor = PROCESSORS[machine]
    program = seccomp.filter_program(machine, OWN)

    def decide(number: int | None, argument: int = 0) -> str:
        assert number is not None
        return decision(program, processor, number, argument)

    denied = [numbers[column] for numbers in syscalls.DENIED.values()]
    assert {decide(number) for number in denied if number is not None} == {"EPERM"}
    assert decide(syscalls.CLONE3) == "ENOSYS"
    assert decide(syscalls.NEWEST + 1) == "ENOSYS"
    assert decide(syscalls.CLONE[column], 0x00010000 | 0x100) == ALLOWED
    assert decide(syscalls.CLONE[column], 0x4000 | 0x100) == "EPERM"
    assert decide(syscalls.KILL[column], OWN) == ALLOWED
    assert decide(syscalls.KILL[column], 1) == "EPERM"
    assert decide(syscalls.TGKILL[column], OWN) == ALLOWED
    assert decide(syscalls.TGKILL[column], OWN + 1) == "EPERM"
    assert decide(syscalls.PRCTL[column], 1) == "EPERM"
    assert decide(syscalls.PRCTL[column], 15) == ALLOWED
    # read, openat, mmap
    needed = {"x86_64": (0, 257, 9), "aarch64": (63, 56, 222)}[machine]
    assert {decide(number) for number in needed} == {ALLOWED}
    assert decision(program, 0x40000003, needed[0]) == KILLED


def test_filter_ends_a_process_that_uses_the_32_bit_calls_of_x86() -> None:
    program = seccomp.filter_program("x86_64", OWN)
    assert decision(program, PROCESSORS["x86_64"][1], 0x40000000 + 59) == KILLED


def test_landlock_rights_of_the_newest_version_are_all_handled() -> None:
    """A right that is not handled is allowed everywhere."""
    rights = landlock.FIRST_RIGHTS
    for right in landlock.LATER_RIGHTS.values():
        rights |= right
    assert rights == (1 << 16) - 1
