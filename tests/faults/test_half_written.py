"""A half-written file is never labelled; one that was replaced in place is labelled again."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from tests.support.half_writers import WRITERS
from tests.support.hostile.cases import KINDS
from tests.support.hostile.lab import finish, put, sidecars, versions
from tests.support.hostile.odd_images import cell_pixels, jpeg
from tests.support.images import Jpeg
from tests.support.site import Site, make_site
from tests.support.waiting import until


@pytest.fixture
def lab(tmp_path: Path, small_bundle: Path) -> Site:
    return make_site(tmp_path, small_bundle)


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


def test_once_image_replaced_under_the_same_size_and_time_is_labelled_anew(
    lab: Site, colour_jpeg: Jpeg
) -> None:
    old, new = colour_jpeg("red"), colour_jpeg("blue", seed=3)
    longest = max(len(old), len(new))
    put(lab.export, b"a.jpg", old.ljust(longest, b"\0"))
    path = lab.export / "a.jpg"
    mtime_ns = path.stat().st_mtime_ns
    assert finish(lab.start("once")) == 0
    path.write_bytes(new.ljust(longest, b"\0"))
    os.utime(path, ns=(mtime_ns, mtime_ns))
    assert finish(lab.start("once")) == 0
    assert versions(lab, "a.jpg") == [
        ("done", "labelled", "blue", hashlib.sha256(path.read_bytes()).hexdigest())
    ]
    assert lab.sidecar("a.jpg")["label"] == "blue"
