"""Tests for `edge-daemon once`: what it labels, rejects, leaves and counts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from daemon.intake import settle
from daemon.startup import opened_service
from edge.errors import StorageError
from edge.image_files.read import ImageFile
from edge.labeller import Labeller
from tests.daemon.service_site import COLOURS, held_up, once, put
from tests.support.digests import digests
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


def test_once_results_folder_that_refuses_ends_with_images_waiting(
    site: Site, colour_jpeg: Jpeg
) -> None:
    (site.results / "S1").write_bytes(b"in the way")
    site.add("S1/a.jpg", colour_jpeg("red"))
    with pytest.raises(StorageError):
        once(site)
    assert site.outcomes()["S1/a.jpg"][0] == "waiting"
    (site.results / "S1").unlink()
    assert once(site) == 0
    assert site.sidecar("S1/a.jpg")["label"] == "red"


def test_start_without_the_results_folder_is_refused_and_makes_none(
    site: Site, colour_jpeg: Jpeg
) -> None:
    site.add("a.jpg", colour_jpeg("red"))
    site.results.rmdir()
    for is_once in (True, False):
        with (
            pytest.raises(StorageError, match="make it: mkdir"),
            opened_service(site.config(), is_once=is_once),
        ):
            pass
    assert not site.results.exists()
    site.results.mkdir()
    once(site)
    assert site.sidecar("a.jpg")["label"] == "red"


@pytest.mark.usefixtures("_no_superuser")
def test_once_image_without_permission_is_rejected_and_labelled_by_a_later_run(
    site: Site, colour_jpeg: Jpeg
) -> None:
    site.settings["watch"] = [{"folder": "export"}]
    images = [site.add(f"{name}.jpg", colour_jpeg("red")) for name in "ab"]
    for image in images:
        image.chmod(0)
    once(site)
    assert site.sidecar("a.jpg")["reason"] == "unreadable"
    rejected_at = site.sidecar("b.jpg")["created"]
    images[0].chmod(0o600)
    once(site)
    assert site.sidecar("a.jpg")["label"] == "red"
    assert site.sidecar("b.jpg")["created"] == rejected_at
    site.settings["rescan_s"] = 0.2
    with site.running():
        until(lambda: held_up(site) == {"unreadable": 1})
        images[1].chmod(0o600)
        until(lambda: site.outcomes()["b.jpg"] == ("done", "labelled", "red", None))
    assert site.sidecar("b.jpg")["label"] == "red"


def test_once_wide_pattern_makes_no_sidecars_of_sidecars(site: Site, colour_jpeg: Jpeg) -> None:
    site.settings["watch"] = [{"folder": "export", "pattern": "cell*"}]
    site.settings["results"] = {"folder": None}
    image = site.add("S1/cell1.jpg", colour_jpeg("red"))
    for _ in range(3):
        once(site)
    names = sorted(path.name for path in image.parent.iterdir())
    assert names == ["cell1.jpg", "cell1.jpg.csv", "cell1.jpg.json"]
    assert list(site.outcomes()) == ["S1/cell1.jpg"]


def test_once_images_that_the_template_does_not_match_are_counted_and_said_once(
    site: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.jpg", "b.jpg", "S1/1/c.jpg"):
        site.add(name, colour_jpeg("red"))
    with opened_service(site.config(), is_once=True) as service:
        service.once(lambda: None)
    assert service.outcome_counts.text() == "3 labelled, 0 unidentified, 0 rejected, 2 without ids"
    assert service.outcome_counts.to_dict()["without_ids"] == 2
    assert (site.sidecar("a.jpg")["sample_id"], site.sidecar("S1/1/c.jpg")["sample_id"]) == (
        None,
        "S1",
    )
    assert caplog.text.count("does not match the template") == 1


def test_once_knows_how_many_images_to_expect(site: Site, colour_jpeg: Jpeg) -> None:
    for number in range(40):
        site.add(f"S1/1/{number}.jpg", colour_jpeg("red"))
    seen = set()
    with opened_service(site.config(), is_once=True) as service:
        service.once(lambda: seen.add(service.outcome_counts.expected))
    assert service.outcome_counts.finished == service.outcome_counts.expected == 40
    assert seen <= {None, 40}


def test_once_image_that_breaks_the_program_is_rejected_and_the_others_labelled(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    label_batch = Labeller.label_batch

    def broken(self: Labeller, images: list[Path | ImageFile]) -> list[Any]:
        if any(isinstance(image, Path) and image.name == "poison.jpg" for image in images):
            raise ZeroDivisionError
        return label_batch(self, images)

    monkeypatch.setattr(Labeller, "label_batch", broken)
    for name in ("a", "poison", "z"):
        site.add(f"{name}.jpg", colour_jpeg("green"))
    once(site)
    assert site.sidecar("poison.jpg")["reason"] == "retries_exhausted"
    assert [site.sidecar(f"{name}.jpg")["label"] for name in "az"] == ["green", "green"]


def test_once_old_images_do_not_wait_for_settling(site: Site, colour_jpeg: Jpeg) -> None:
    site.settings["settle_s"] = 600.0
    whole = colour_jpeg("red")
    site.add("a.jpg", whole, age_s=700)
    site.add("half.jpg", whole[:700], age_s=7000)
    once(site)
    assert site.sidecar("a.jpg")["label"] == "red"
    assert site.sidecar("half.jpg")["reason"] == "truncated"


def test_once_fresh_image_is_waited_for(site: Site, colour_jpeg: Jpeg) -> None:
    put(site.export / "a.jpg", colour_jpeg("red"))
    assert once(site) == 0
    assert site.sidecar("a.jpg")["label"] == "red"


def test_once_file_that_never_rests_is_left_and_counted(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "GRACE_FACTOR", 3)
    path = put(site.export / "a.jpg", colour_jpeg("red")[:900])

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"x")

    with opened_service(site.config(), is_once=True) as service:
        assert service.once(grow) == 1
    assert not site.has_sidecar("a.jpg")


def test_once_read_only_export_gets_its_results_in_a_mirror_tree(
    site: Site, colour_jpeg: Jpeg
) -> None:
    for number in range(3):
        site.add(f"S{number}/slide-1/a.jpg", colour_jpeg(COLOURS[number]))
    folders = [folder for folder in site.export.rglob("*") if folder.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    before = digests(site.export)
    once(site)
    assert digests(site.export) == before
    for number in range(3):
        fields = site.sidecar(f"S{number}/slide-1/a.jpg")
        assert (fields["label"], fields["sample_id"]) == (COLOURS[number], f"S{number}")
    for folder in folders:
        folder.chmod(0o755)


def test_once_results_beside_the_images_are_not_taken_for_images(
    site: Site, colour_jpeg: Jpeg
) -> None:
    site.settings["results"] = {"folder": None, "formats": ["json"]}
    image = site.add("S1/1/a.jpg", colour_jpeg("red"))
    for _ in range(2):
        once(site)
    assert sorted(path.name for path in image.parent.iterdir()) == ["a.jpg", "a.jpg.json"]


def test_once_odd_names_are_labelled(site: Site, colour_jpeg: Jpeg) -> None:
    names = [b"=cmd|x.jpg", b"two\nlines.jpg", b"q'\"u.jpg", b"\xff\xfe.jpg", b"n" * 251 + b".jpg"]
    for name in names:
        with open(os.fsencode(site.export) + b"/" + name, "wb") as file:  # noqa: PTH123
            file.write(colour_jpeg("green"))
    once(site)
    assert {row[:3] for row in site.outcomes().values()} == {("done", "labelled", "green")}
    assert len(list(site.results.glob("*.json"))) == len(names)
    assert site.sidecar("two\nlines.jpg")["label"] == "green"


def test_once_odd_files_are_rejected_with_a_reason_and_the_next_is_labelled(
    site: Site, colour_jpeg: Jpeg
) -> None:
    os.mkfifo(os.fsencode(site.export) + b"/\xff.jpg")
    (site.export / "link.jpg").symlink_to("/dev/zero")
    (site.export / "folder.jpg").mkdir()
    site.add("empty.jpg", b"")
    site.add("text.jpg", b"not an image")
    site.add("folder.jpg/good.jpg", colour_jpeg("blue"))
    moment = time.time() - 60
    os.utime(os.fsencode(site.export) + b"/\xff.jpg", (moment, moment))
    once(site)
    reasons = {name: row[3] for name, row in site.outcomes().items()}
    assert reasons == {
        "\udcff.jpg": "not_a_file",
        "link.jpg": "not_a_file",
        "empty.jpg": "empty",
        "text.jpg": "unsupported_format",
        "folder.jpg/good.jpg": None,
    }
    assert site.sidecar("folder.jpg/good.jpg")["label"] == "blue"
    assert site.sidecar("empty.jpg")["image"]["file"] == "empty.jpg"


def test_once_backlog_is_labelled_completely(site: Site, colour_jpeg: Jpeg) -> None:
    contents = [colour_jpeg(name) for name in COLOURS]
    for number in range(1200):
        site.add(f"S{number // 100}/1/{number}.jpg", contents[number % 3])
    with opened_service(site.config(), is_once=True) as service:
        service.once(lambda: None)
    assert service.outcome_counts.finished == 1200
    assert len(list(site.results.rglob("*.json"))) == 1200
    labels = [site.outcomes()[f"S0/1/{n}.jpg"][2] for n in range(6)]
    assert labels == [*COLOURS, *COLOURS]


def test_once_watch_folder_that_is_not_there_is_an_error(site: Site) -> None:
    site.export.rmdir()
    with pytest.raises(StorageError, match="is not there"):
        once(site)
