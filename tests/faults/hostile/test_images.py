"""Hostile files and names: each gets its one outcome, and the images beside it their labels."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.backends.select import open_session
from edge.bundle import load_bundle
from edge.golden import open_labeller
from edge.labeller import Outcome
from edge.status import Status
from tests.support.hostile.cases import Case, all_cases
from tests.support.hostile.lab import put, sidecars, wait_for_sidecars
from tests.support.images import Jpeg
from tests.support.machine.other_user import NOBODY, run_as_nobody
from tests.support.site import ROOT, Site, make_site

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
    return make_site(tmp_path, small_bundle)


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
        [sys.executable, "-m", "tests.campaigns.hostile_images"],
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
        assert (row["sample_id"], row["slide_id"]) == (f"=S\\x0a{number}", f"-1+{number}")
    for name, content in hostile.items():
        assert (lab.export / os.fsdecode(name)).read_bytes() == content


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
    from edge.image_files.read import read_image

    os.mkfifo(tmp_path / "a.jpg")
    opened: list[object] = []
    monkeypatch.setattr(os, "open", lambda *arguments: opened.append(arguments))
    with pytest.raises(ImageError):
        read_image(tmp_path / "a.jpg")
    assert opened == []


@pytest.fixture
def public_lab(colour_jpeg: Jpeg) -> Iterator[Site]:
    """A laboratory that another user may enter, unlike pytest's own folders."""
    from tests.support.small_bundle import write_small_bundle

    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    with tempfile.TemporaryDirectory(prefix="edge-hostile-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        site = make_site(folder, write_small_bundle(folder / "colours.edge", colour_jpeg))
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
    ran = run_as_nobody(site.folder, "once", "--config", str(site.config_path))
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
