"""Tests for sidecars on a share on which several names are one, or some are refused."""

from __future__ import annotations

import json
import shutil
import unicodedata

import pytest

from tests.daemon.results.beside import cause, state, warnings
from tests.support.images import Jpeg
from tests.support.machine import mounts
from tests.support.site import Site
from tests.support.waiting import until

TWIN = "sidecar name: taken by the sidecar of another image"


FOLDER = "sidecar name: taken by a folder whose name is the same there"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("S1/IMG.JPG", "S1/img.jpg"),
        (
            unicodedata.normalize("NFC", "S1/zé.jpg"),
            unicodedata.normalize("NFD", "S1/zé.jpg"),
        ),
    ],
)
def test_run_images_whose_names_are_one_on_the_share_keep_the_first_sidecar(
    site: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture, first: str, second: str
) -> None:
    site.settings["watch"] = [{"folder": "export"}]
    with mounts.faultfs(site.results, "fold") as disk, site.running():
        site.add(first, colour_jpeg("red"))
        until(lambda: state(site, first) == "done")
        site.add(second, colour_jpeg("green"))
        until(lambda: cause(site, second) == TWIN)
        site.add("S1/c.jpg", colour_jpeg("blue"))
        until(lambda: state(site, "S1/c.jpg") == "done")
        fields = json.loads((disk.backing / f"{first}.json").read_bytes())
        assert (fields["label"], len(list(disk.backing.rglob("*.json")))) == ("red", 2)
        assert len(warnings(caplog)) == 1
        # The first is gone: its name is free.
        (site.export / first).unlink()
        until(lambda: state(site, second) == "done")
        assert json.loads((disk.backing / f"{first}.json").read_bytes())["label"] == "green"


def test_run_images_of_one_batch_whose_names_are_one_on_the_share_keep_one_sidecar(
    site: Site, colour_jpeg: Jpeg
) -> None:
    site.settings |= {"watch": [{"folder": "export"}], "workers": 1}
    names = ["IMG.JPG", "img.jpg", "Img.jpg"]
    for name in names:
        site.add(name, colour_jpeg("red"))
    with mounts.faultfs(site.results, "fold"), site.running():
        until(lambda: sorted(cause(site, n) or "" for n in names) == ["", TWIN, TWIN])
        assert [state(site, name) for name in names].count("done") == 1


def test_run_folders_whose_names_are_one_on_the_share_keep_the_first_sidecar(
    site: Site, colour_jpeg: Jpeg
) -> None:
    site.settings["watch"] = [{"folder": "export"}]
    with mounts.faultfs(site.results, "fold") as disk:
        with site.running():
            site.add("S1/a.jpg", colour_jpeg("red"))
            until(lambda: state(site, "S1/a.jpg") == "done")
            site.add("s1/a.jpg", colour_jpeg("green"))
            until(lambda: cause(site, "s1/a.jpg") == FOLDER)
        # A service that knows nothing of what was before, too.
        with site.running():
            until(lambda: cause(site, "s1/a.jpg") == FOLDER)
            assert json.loads((disk.backing / "S1/a.jpg.json").read_bytes())["label"] == "red"
            (site.export / "S1").rename(site.export / "gone")
            shutil.rmtree(site.export / "gone")
            until(lambda: state(site, "s1/a.jpg") == "done")
            assert json.loads((disk.backing / "S1/a.jpg.json").read_bytes())["label"] == "green"


def test_run_on_a_share_that_refuses_hidden_names_writes_with_others(
    site: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture
) -> None:
    site.settings["watch"] = [{"folder": "export"}]
    with mounts.faultfs(site.results) as disk:
        disk.fail({"op": "*", "error": "ENOENT", "path": "*/.*"})
        with site.running():
            for name in ("S1/a.jpg", "S1/b.jpg"):
                site.add(name, colour_jpeg("red"))
                until(lambda n=name: state(site, n) == "done")  # type: ignore[misc]
            assert (site.results / "edge-daemon.lock").read_text().startswith("process ")
        assert site.sidecar("S1/a.jpg")["label"] == "red"
        names = {path.name for path in disk.backing.rglob("*")}
    assert names == {"S1", "edge-daemon.lock", *(f"{x}.jpg.{y}" for x in "ab" for y in SUFFIXES)}
    assert len(warnings(caplog)) == 1
    assert "refuses hidden names" in caplog.text


SUFFIXES = ("json", "csv")
