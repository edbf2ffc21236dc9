"""Hostile files and names: each gets its one outcome, and the images beside it their labels."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import mmap
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from daemon.retry_images import retry_images
from edge.backends.select import open_session
from edge.bundle import load_bundle
from edge.golden import open_labeller
from edge.labeller import Outcome, Status
from edge.sidecar import sidecar_path
from tests.daemon.conftest import ROOT, SCHEMA, Site, until
from tests.support.hostile_cases import KINDS, Case, all_cases
from tests.support.odd_images import cell_pixels, jpeg

Jpeg = Callable[..., bytes]
NOBODY = 65534
NAMES = (
    *(b"=cmd|' /C calc'!A0.jpg", b"@SUM(1+1).jpg", b"+1+1.jpg", b"-1+1.jpg", b"\t=1+1.jpg"),
    *(b"two\nlines.jpg", b"carriage\rreturn.jpg", b"q'\"u,o;t.jpg", b"back\\slash.jpg"),
    *(b"\xff\xfe.jpg", b"caf\xe9.jpg", "אבג\u202egpj.jpg".encode(), "line\u2028sep.jpg".encode()),
    *(b" space .jpg", b"a" * 251 + b".jpg", b"b" * 246 + b".jpg", b"%s%n{}.jpg", b"$(id).jpg"),
    *(
        "é".encode() * 125 + b".jpg",
        b"a.jpg.jpg",
        b"UPPER.JPG",
        b"\x01\x7f.jpg",
        b"'.jpg",
        b"-.jpg",
    ),
)


@pytest.fixture
def lab(tmp_path: Path, small_bundle: Path) -> Site:
    return laboratory(tmp_path, small_bundle)


def laboratory(folder: Path, bundle: Path) -> Site:
    settings: dict[str, Any] = {
        "bundle": str(bundle),
        "watch": [{"folder": "export", "sample": "{sample_id}/{slide_id}/*"}],
        "results": {"folder": "results"},
        "settle_s": 0.1,
        "state_dir": "state",
        "retry": {"attempts": 3, "first_delay_s": 0.05, "max_delay_s": 0.2},
    }
    (folder / "export").mkdir()
    (folder / "results").mkdir()
    return Site(folder, settings)


def put(folder: Path, name: bytes, content: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - 60, time.time() - 60))


def sidecars(site: Site, name: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """JSON and CSV of an image; both must be what a LIS can read."""
    target = Path(os.fsdecode(os.fsencode(site.results) + b"/" + name))
    fields = json.loads(sidecar_path(target, "json").read_bytes().decode("utf-8"))
    jsonschema.validate(fields, SCHEMA)
    text = sidecar_path(target, "csv").read_bytes().decode("utf-8")
    assert len(text.splitlines()) == 2
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert not any(cell.lstrip().startswith(("=", "+", "@")) for cell in row.values())
    assert not any(cell.startswith("-") for cell in row.values())
    assert (row["status"], row["image_sha256"]) == (
        fields["status"],
        fields["image"]["sha256"] or "",
    )
    return fields, row


def versions(site: Site, name: str) -> list[tuple[str, str, str, str]]:
    """State, status, label and SHA-256 of each version of an image, the oldest first."""
    with closing(sqlite3.connect(site.folder / "state" / "journal.sqlite3")) as db:
        return db.execute(
            "SELECT state, status, label, sha256 FROM image WHERE path = ? ORDER BY id",
            (os.fsencode(name),),
        ).fetchall()


@pytest.fixture(scope="module")
def small_cases() -> list[Case]:
    """All but the bombs, which take seconds to make."""
    return list(all_cases(without="bombs"))


def samples(cases: list[Case]) -> dict[str, bytes]:
    """One file that must be rejected of each family that has any."""
    found: dict[str, bytes] = {}
    for case in cases:
        if None not in case.expected and len(case.content) > 100:
            found.setdefault(case.family, case.content)
    return found


def test_read_every_hostile_image_is_rejected_with_a_reason_within_512_mb() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.faults.hostile_images"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert "5998 cases" in ran.stdout


def test_label_batch_with_hostile_images_labels_their_neighbours_as_alone(
    small_bundle: Path, tmp_path: Path, colour_jpeg: Jpeg, small_cases: list[Case]
) -> None:
    bundle = load_bundle(small_bundle)
    labeller = open_labeller(bundle, open_session(bundle))
    good = tmp_path / "good.jpg"
    good.write_bytes(colour_jpeg("green"))
    alone = labeller.label(good)
    cases = small_cases[::4]
    for first in range(0, len(cases), 15):
        batch = cases[first : first + 15]
        paths = [tmp_path / f"{number}.jpg" for number in range(len(batch))]
        for path, case in zip(paths, batch, strict=True):
            path.write_bytes(case.content)
        place = first % (len(paths) + 1)
        outcomes = labeller.label_batch([*paths[:place], good, *paths[place:]])
        neighbour = outcomes.pop(place)
        assert isinstance(neighbour, Outcome)
        assert neighbour.logits is not None
        assert alone.logits is not None
        assert np.array_equal(neighbour.logits, alone.logits)
        for case, outcome in zip(batch, outcomes, strict=True):
            assert isinstance(outcome, Outcome)
            assert outcome.reason in case.expected, case.family
            assert (outcome.status is Status.REJECTED) == (outcome.decision is None)


@pytest.mark.parametrize("command", ["once", "run"])
def test_daemon_hostile_files_and_names_get_one_outcome_each(
    lab: Site, colour_jpeg: Jpeg, small_cases: list[Case], command: str
) -> None:
    rejected = samples(small_cases)
    assert len(rejected) > 10
    hostile = {f"{family}.jpg".encode(): content for family, content in rejected.items()}
    for name, content in hostile.items():
        put(lab.export, name, content)
    for number, name in enumerate(NAMES):
        put(lab.export, name, colour_jpeg("green", seed=number))
        put(lab.export, b"=S\n%d/-1+%d/cell.jpg" % (number, number), colour_jpeg("blue"))
    with (lab.export / "sparse.jpg").open("wb") as file:
        file.truncate(10_000_000_000)
    expected = len(hostile) + 2 * len(NAMES) + 1
    process = lab.start(command)
    peak_mb = wait_for_sidecars(lab, expected, process)
    assert process.returncode == 0
    assert peak_mb < 512
    outcomes = lab.outcomes()
    assert len(outcomes) == expected
    assert {row[0] for row in outcomes.values()} == {"done"}
    assert {sidecars(lab, name)[0]["status"] for name in hostile} == {"rejected"}
    assert outcomes["sparse.jpg"][3] == "too_large"
    for number, name in enumerate(NAMES):
        assert outcomes[os.fsdecode(name)][2] == "green"
        assert sidecars(lab, name)[0]["label"] == "green"
        fields, row = sidecars(lab, b"=S\n%d/-1+%d/cell.jpg" % (number, number))
        assert (fields["sample_id"], fields["slide_id"]) == (f"=S\n{number}", f"-1+{number}")
        assert (row["sample_id"], row["slide_id"]) == (f"'=S\\x0a{number}", f"'-1+{number}")
    for name, content in hostile.items():
        assert (lab.export / os.fsdecode(name)).read_bytes() == content


def finish(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=60)
    return process.returncode


def wait_for_sidecars(site: Site, count: int, process: subprocess.Popen[str]) -> float:
    """Wait until all images are done; ends `run`. Gives the process's peak memory in MB."""
    peak_mb = 0.0

    def is_done() -> bool:
        nonlocal peak_mb
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        peaks = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
        peak_mb = max(peak_mb, *peaks, 0.0)
        return process.poll() is not None or (
            len(list(site.results.rglob("*.json"))) == count
            and all(row[0] == "done" for row in site.outcomes().values())
        )

    until(is_done, timeout_s=60)
    if "run" in str(process.args).split("'"):
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    return peak_mb


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make device nodes")
@pytest.mark.parametrize("command", ["once", "run"])
def test_daemon_nodes_and_links_are_not_followed(
    lab: Site, colour_jpeg: Jpeg, command: str
) -> None:
    outside = lab.folder / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(colour_jpeg("red"))
    (outside / "secret.txt").write_text("the secret\n" * 20)
    export = lab.export
    os.mkfifo(export / "fifo.jpg")
    os.mknod(export / "zero.jpg", 0o666 | 0o020000, os.makedev(1, 5))
    os.mknod(export / "disk.jpg", 0o666 | 0o060000, os.makedev(7, 250))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(export / "socket.jpg"))
    (export / "link.jpg").symlink_to(outside / "secret.jpg")
    (export / "passwd.jpg").symlink_to("/etc/passwd")
    (export / "dangling.jpg").symlink_to("nowhere")
    (export / "loop.jpg").symlink_to("loop.jpg")
    (export / "folder.jpg").symlink_to(outside)
    (export / "linked").symlink_to(outside)
    os.link(outside / "secret.txt", export / "hard-text.jpg")
    # Nothing tells a hard link from a file: it is labelled as what it is.
    os.link(outside / "secret.jpg", export / "hard.jpg")
    put(export, b"good.jpg", colour_jpeg("blue"))
    process = lab.start(command)
    wait_for_sidecars(lab, 12, process)
    assert process.returncode == 0
    reasons = {name.removesuffix(".jpg"): row[3] or row[2] for name, row in lab.outcomes().items()}
    nodes = ("fifo", "zero", "disk", "socket", "link", "passwd", "dangling", "loop", "folder")
    assert reasons == {
        **dict.fromkeys(nodes, "not_a_file"),
        "hard-text": "unsupported_format",
        "hard": "red",
        "good": "blue",
    }
    for node in nodes:
        assert sidecars(lab, f"{node}.jpg".encode())[0]["image"]["sha256"] is None
    assert (outside / "secret.jpg").read_bytes() == colour_jpeg("red")


def test_read_device_is_refused_without_opening_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge.errors import ImageError
    from edge.images import read_image

    os.mkfifo(tmp_path / "a.jpg")
    opened: list[object] = []
    monkeypatch.setattr(os, "open", lambda *arguments: opened.append(arguments))
    with pytest.raises(ImageError):
        read_image(tmp_path / "a.jpg")
    assert opened == []


@pytest.fixture
def public_lab(colour_jpeg: Jpeg) -> Iterator[Site]:
    """A laboratory that another user may enter, unlike pytest's own folders."""
    from tests.conftest import write_small_bundle

    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    with tempfile.TemporaryDirectory(prefix="edge-hostile-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        site = laboratory(folder, write_small_bundle(folder / "colours.edge", colour_jpeg))
        (folder / "state").mkdir()
        for path in (folder / "state", folder / "results"):
            os.chown(path, NOBODY, NOBODY)
        yield site


def test_once_as_another_user_unreadable_files_are_rejected_and_the_others_labelled(
    public_lab: Site, colour_jpeg: Jpeg
) -> None:
    site = public_lab
    for name in (b"secret.jpg", b"good.jpg", b"closed/in.jpg", b"only-listed/in.jpg"):
        put(site.export, name, colour_jpeg("green"))
    (site.export / "secret.jpg").chmod(0)
    (site.export / "closed").chmod(0)
    (site.export / "only-listed").chmod(0o444)
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    as_nobody += ["--bounding-set=-all", "--no-new-privs"]
    ran = subprocess.run(
        [*as_nobody, *site.command("once")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(site.folder), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    if "Permission denied" in ran.stderr and "colours.edge" not in ran.stderr and ran.returncode:
        pytest.skip("another user cannot read this checkout")
    assert ran.returncode == 0, ran.stderr
    assert site.outcomes() == {
        "secret.jpg": ("done", "rejected", None, "unreadable"),
        "good.jpg": ("done", "labelled", "green", None),
    }
    assert sidecars(site, b"secret.jpg")[0]["image"]["sha256"] is None
    assert "secret" not in ran.stderr


@pytest.mark.parametrize("mtime_s", [1e10, -1e10, 253_402_300_800.0, -3e9])
@pytest.mark.parametrize("zone", ["UTC", "Africa/Monrovia"])
def test_once_file_of_an_impossible_year_is_labelled(
    lab: Site, colour_jpeg: Jpeg, mtime_s: float, zone: str
) -> None:
    """A year after 2262 does not fit into the journal's nanoseconds, one after 9999 nowhere."""
    put(lab.export, b"far.jpg", colour_jpeg("red"))
    put(lab.export, b"epoch.jpg", colour_jpeg("blue"))
    put(lab.export, b"near.jpg", colour_jpeg("green"))
    os.utime(lab.export / "far.jpg", (mtime_s, mtime_s))
    os.utime(lab.export / "epoch.jpg", (0, 0))
    process = lab.start("once", TZ=zone)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    labels = {name: row[2] for name, row in lab.outcomes().items()}
    assert labels == {"far.jpg": "red", "epoch.jpg": "blue", "near.jpg": "green"}
    assert [sidecars(lab, n)[0]["label"] for n in (b"far.jpg", b"epoch.jpg")] == ["red", "blue"]


# Half-written and replaced.

Write = Callable[[Path, bytes, Callable[[], None]], None]


def _cuts(content: bytes) -> list[tuple[int, int]]:
    edges = [len(content) * percent // 100 for percent in range(101)]
    return list(pairwise(edges))


def appends_and_closes(path: Path, content: bytes, pause: Callable[[], None]) -> None:
    for first, last in _cuts(content):
        with path.open("ab") as file:
            file.write(content[first:last])
        pause()


def preallocates_with_zeros(path: Path, content: bytes, pause: Callable[[], None]) -> None:
    path.write_bytes(bytes(len(content)))
    _fill(path, content, _cuts(content), pause)


def allocates(path: Path, content: bytes, pause: Callable[[], None]) -> None:
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, len(content))
    _fill(path, content, _cuts(content), pause)


def writes_backwards(path: Path, content: bytes, pause: Callable[[], None]) -> None:
    path.touch()
    _fill(path, content, _cuts(content)[::-1], pause)


def writes_the_end_first(path: Path, content: bytes, pause: Callable[[], None]) -> None:
    path.touch()
    first, *others, last = _cuts(content)
    _fill(path, content, [last, first, *others], pause)


def maps_memory(path: Path, content: bytes, pause: Callable[[], None]) -> None:
    path.write_bytes(bytes(len(content)))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        for first, last in _cuts(content):
            view[first:last] = content[first:last]
            view.flush()
            pause()


def _fill(
    path: Path, content: bytes, cuts: list[tuple[int, int]], pause: Callable[[], None]
) -> None:
    for first, last in cuts:
        with path.open("r+b") as file:
            file.seek(first)
            file.write(content[first:last])
        pause()


WRITERS: tuple[Write, ...] = (
    *(appends_and_closes, preallocates_with_zeros, allocates),
    *(writes_backwards, writes_the_end_first, maps_memory),
)


def test_run_half_written_file_is_never_labelled(lab: Site, colour_jpeg: Jpeg) -> None:
    contents = {
        f"{writer.__name__}-{kind}.jpg": (writer, jpeg(cell_pixels(number, side_px=200), kind))
        for number, writer in enumerate(WRITERS)
        for kind in KINDS
    }

    def write(name: str) -> None:
        writer, content = contents[name]
        steps = iter(range(1000))
        # Now and then longer than settle_s, so that the daemon takes what is there.
        writer(
            lab.export / name, content, lambda: time.sleep(0.3 if next(steps) % 9 == 4 else 0.01)
        )

    with lab.running():
        threads = [threading.Thread(target=write, args=(name,)) for name in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: all(_is_done(lab, name) for name in contents), timeout_s=30)
        put(lab.export, b"next.jpg", colour_jpeg("red"))
        until(lambda: _is_done(lab, "next.jpg"))
    for name, (_, content) in contents.items():
        digest = hashlib.sha256(content).hexdigest()
        rows = versions(lab, name)
        decided = [row for row in rows if row[1] in ("labelled", "unidentified")]
        assert [row[3] for row in decided] == [digest], name
        assert rows[-1] == decided[0]
        assert sidecars(lab, name.encode())[0]["image"]["sha256"] == digest


def _is_done(site: Site, name: str) -> bool:
    state, status, *_ = site.outcomes().get(name, ("", None))
    return state == "done" and status != "rejected"


@pytest.mark.parametrize("how", ["other_mtime", "other_size", "renamed_over", "cut_and_grown"])
def test_run_image_replaced_in_place_is_labelled_again_and_the_journal_keeps_both(
    lab: Site, colour_jpeg: Jpeg, how: str
) -> None:
    path = lab.export / "a.jpg"
    old, new = colour_jpeg("red"), colour_jpeg("blue", seed=3)
    if how != "other_size":
        longest = max(len(old), len(new))
        old, new = old.ljust(longest, b"\0"), new.ljust(longest, b"\0")
    with lab.running():
        put(lab.export, b"a.jpg", old)
        mtime_ns = path.stat().st_mtime_ns
        until(lambda: lab.outcomes().get("a.jpg", ("",))[0] == "done")
        if how == "renamed_over":
            (lab.export / ".new").write_bytes(new)
            (lab.export / ".new").rename(path)
        elif how == "cut_and_grown":
            path.write_bytes(new[:500])
            time.sleep(0.3)
            path.write_bytes(new)
        else:
            path.write_bytes(new)
        if how == "other_size":
            os.utime(path, ns=(mtime_ns, mtime_ns))
        until(lambda: lab.outcomes()["a.jpg"] == ("done", "labelled", "blue", None))
    done = [row for row in versions(lab, "a.jpg") if row[1] == "labelled"]
    digests = [hashlib.sha256(content).hexdigest() for content in (old, new)]
    assert done == [
        ("done", "labelled", "red", digests[0]),
        ("done", "labelled", "blue", digests[1]),
    ]
    assert sidecars(lab, b"a.jpg")[0]["image"]["sha256"] == digests[1]


def test_once_replaced_image_of_the_same_size_and_time_needs_retry(
    lab: Site, colour_jpeg: Jpeg
) -> None:
    """The limit that docs/daemon.md names: a version is size and mtime."""
    old, new = colour_jpeg("red"), colour_jpeg("blue", seed=3)
    longest = max(len(old), len(new))
    put(lab.export, b"a.jpg", old.ljust(longest, b"\0"))
    path = lab.export / "a.jpg"
    mtime_ns = path.stat().st_mtime_ns
    assert finish(lab.start("once")) == 0
    path.write_bytes(new.ljust(longest, b"\0"))
    os.utime(path, ns=(mtime_ns, mtime_ns))
    assert finish(lab.start("once")) == 0
    assert lab.outcomes()["a.jpg"][2] == "red"
    assert retry_images(lab.config(), image=path) == 1
    assert finish(lab.start("once")) == 0
    assert lab.outcomes()["a.jpg"][2] == "blue"
