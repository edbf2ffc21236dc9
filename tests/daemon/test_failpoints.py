"""Failpoints: each is passed on one image's way, none is armed without its variable."""

from __future__ import annotations

import ast
import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.system.folder_locks import LOCK_NAME
from edge import failpoints
from edge.errors import ConfigError
from edge.failpoints import FALLIBLE, KNOWN, LABELLING, VARIABLE, arm_failpoints, failpoint
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm_failpoints({})


def arm(text: str) -> tuple[str, ...]:
    return arm_failpoints({VARIABLE: text})


def names_in_code() -> list[str]:
    names = []
    for path in [*ROOT.glob("edge/**/*.py"), *ROOT.glob("daemon/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failpoint":
                (argument,) = node.args
                assert isinstance(argument, ast.Constant), f"{path}: a name that is computed"
                names.append(str(argument.value))
    return names


def test_failpoints_in_the_code_are_the_known_ones_once_each() -> None:
    assert sorted(names_in_code()) == sorted(KNOWN)
    assert len(KNOWN) >= 25
    assert set(KNOWN) > FALLIBLE


def test_service_labels_an_image_and_passes_every_failpoint(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    colour_jpeg: Jpeg,
) -> None:
    monkeypatch.setenv(VARIABLE, ",".join(f"{name}=sleep:0" for name in KNOWN))
    site.settings["poll"] = "never"  # a folder on any file system gives hints
    site.add("S1/1/old.jpg", colour_jpeg("red"))
    with site.running():
        until(lambda: site.has_sidecar("S1/1/old.jpg"))
        site.add("S1/1/new.jpg", colour_jpeg("blue"), age_s=-1.0)
        until(lambda: site.has_sidecar("S1/1/new.jpg"))
        # A file that was closed and is not whole settles before it is looked at.
        (site.export / "S1" / "1" / "part.jpg").write_bytes(colour_jpeg("blue")[:500])
        until(lambda: failpoints.passes()["settle.settled"] > 0)
    missed = {name for name, count in failpoints.passes().items() if not count}
    assert missed == set(KNOWN) - set(LABELLING)
    assert site.sidecar("S1/1/old.jpg")["label"] == "red"
    assert site.sidecar("S1/1/new.jpg")["label"] == "blue"


def test_service_without_the_variable_arms_nothing(site: Site, colour_jpeg: Jpeg) -> None:
    arm("image.open=EIO")
    site.add("a.jpg", colour_jpeg("red"))
    with site.running():
        until(lambda: site.has_sidecar("a.jpg"))
        assert not failpoints.are_armed()
    assert failpoints.passes() == {}


def test_once_killed_at_a_failpoint_dies_of_sigkill_and_the_next_run_labels_the_image(
    site: Site, colour_jpeg: Jpeg
) -> None:
    site.add("a.jpg", colour_jpeg("green"))
    killed = site.start("once", **{VARIABLE: "file.between_renames=kill"})
    _, errors = killed.communicate(timeout=30)
    assert killed.returncode == -signal.SIGKILL, errors
    assert "file.between_renames is armed" in errors
    assert not site.has_sidecar("a.jpg")
    assert (site.results / "a.jpg.csv").exists()
    again = site.start("once")
    _, errors = again.communicate(timeout=30)
    assert (again.returncode, "armed" in errors) == (0, False)
    assert site.sidecar("a.jpg")["label"] == "green"


@pytest.mark.parametrize("name", ["startup.leftovers_removed", "startup.claims_taken_back"])
def test_start_killed_while_it_tidies_up_leaves_no_temporary_file_to_the_next(
    site: Site, colour_jpeg: Jpeg, name: str
) -> None:
    site.add("a.jpg", colour_jpeg("green"))
    for point in ("file.before_rename", name):
        killed = site.start("once", **{VARIABLE: f"{point}=kill"})
        killed.communicate(timeout=30)
        assert killed.returncode == -signal.SIGKILL
    again = site.start("once")
    _, errors = again.communicate(timeout=30)
    assert again.returncode == 0, errors
    assert site.sidecar("a.jpg")["label"] == "green"
    left = sorted(path.name for path in site.results.iterdir() if path.name != LOCK_NAME)
    assert left == ["a.jpg.csv", "a.jpg.json"]


# The first file is the log's key, the second the canary's first image.
@pytest.mark.parametrize("number", [1, 2])
def test_first_start_killed_while_it_writes_its_key_leaves_no_temporary_file_to_the_next(
    site: Site, colour_jpeg: Jpeg, number: int
) -> None:
    site.add("a.jpg", colour_jpeg("green"))
    killed = site.start("run", **{VARIABLE: f"file.half_written=kill@{number}"})
    killed.communicate(timeout=30)
    # Perhaps more than one: another thread may have been writing the health.
    left = list((site.folder / "state").rglob(".edge-*"))
    assert left
    again = site.start("once")
    _, errors = again.communicate(timeout=30)
    assert again.returncode == 0, errors
    assert [path for path in left if path.exists()] == [], "left by the run that was killed"
    assert site.sidecar("a.jpg")["label"] == "green"


def test_start_with_an_unknown_failpoint_refuses_with_exit_2_and_the_nearest_name(
    site: Site, colour_jpeg: Jpeg
) -> None:
    site.add("a.jpg", colour_jpeg("red"))
    process = site.start("once", **{VARIABLE: "file.before_renam=kill"})
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "the nearest is file.before_rename" in errors
    assert not (site.folder / "state").exists()
    assert not site.has_sidecar("a.jpg")


@pytest.mark.parametrize(
    "text",
    [
        "image.open",
        "image.open=",
        "image.open=EFOO",
        "image.open=sleep",
        "image.open=kill:3",
        "image.open=EIO@",
        "image.open=EIO@1-x",
        "infer.before=EIO",
        "=kill",
    ],
)
def test_arm_failpoints_with_a_mistake_refuses_and_says_the_variable(text: str) -> None:
    with pytest.raises(ConfigError, match=VARIABLE):
        arm(text)


def test_arm_failpoints_again_with_the_same_text_goes_on_counting() -> None:
    arm("image.open=EIO@1")
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        failpoint("image.open")
    assert arm("image.open=EIO@1") == ()
    failpoint("image.open")
    assert failpoints.passes()["image.open"] == 2


@pytest.mark.parametrize(
    ("passes", "failing"),
    [("", [1, 2, 3, 4]), ("@2", [2]), ("@2-3", [2, 3]), ("@3-", [3, 4])],
)
def test_failpoint_armed_with_passes_fails_at_these_only(passes: str, failing: list[int]) -> None:
    assert arm(f"image.open=ESTALE{passes}") == ("image.open",)
    failed = []
    for number in range(1, 5):
        failpoint("image.read")
        try:
            failpoint("image.open")
        except OSError as error:
            failed.append((number, error.errno, error.strerror))
    stale = (errno.ESTALE, os.strerror(errno.ESTALE))
    assert failed == [(number, *stale) for number in failing]
