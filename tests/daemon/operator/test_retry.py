"""Tests for `edge-daemon retry`: what is put back, what is passed over, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from daemon.startup import opened_service
from tests.daemon.commands import run
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.small_bundle import write_small_bundle
from tests.support.waiting import until


@pytest.fixture
def labelled(site: Site, colour_jpeg: Jpeg) -> Site:
    """A site with three labelled images and one that is rejected."""
    for name in ("red", "green", "blue"):
        site.add(f"S1/1/{name}.jpg", colour_jpeg(name))
    site.add("S2/1/small.jpg", colour_jpeg("red", side_px=16))
    assert run(site, "once") == 0
    return site


def waiting(site: Site) -> set[str]:
    return {name.rpartition("/")[2] for name, row in site.outcomes().items() if row[0] == "waiting"}


def created(site: Site) -> dict[str, str]:
    names = [name for name in site.outcomes() if site.has_sidecar(name)]
    return {name.rpartition("/")[2]: site.sidecar(name)["created"] for name in names}


def other_bundle(site: Site, colour_jpeg: Jpeg) -> Path:
    """The next version: labels differ by nothing but the bundle's hash."""
    new = write_small_bundle(site.folder / "new.edge", lambda name: colour_jpeg(name, seed=9))
    site.settings["bundle"] = str(new)
    return new


def test_retry_all_labels_every_image_again(
    labelled: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    before = created(labelled)
    capsys.readouterr()
    assert run(labelled, "retry", "--all") == 0
    assert capsys.readouterr().out == "to be labelled again: 4\n"
    assert len(waiting(labelled)) == 4
    assert run(labelled, "once") == 0
    after = created(labelled)
    assert all(after[name] != before[name] for name in before)
    assert not waiting(labelled)


def test_retry_all_in_pages_takes_every_image_once(
    labelled: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("daemon.journal.outcomes.PAGE", 1)
    capsys.readouterr()
    assert run(labelled, "retry", "--all") == 0
    assert capsys.readouterr().out == "to be labelled again: 4\n"
    assert run(labelled, "retry", "--all") == 0
    assert capsys.readouterr().out == "to be labelled again: 0\n"


@pytest.mark.parametrize("which", ["--all", "--rejected"])
def test_retry_leaves_images_alone_that_have_left_the_export(
    labelled: Site, capsys: pytest.CaptureFixture[str], which: str
) -> None:
    shutil.rmtree(labelled.export / "S2")
    (labelled.export / "S1/1/red.jpg").unlink()
    before = labelled.outcomes()
    capsys.readouterr()
    assert run(labelled, "retry", which) == 0
    put_back, gone = (2, 2) if which == "--all" else (0, 1)
    assert capsys.readouterr().out == (
        f"to be labelled again: {put_back}\nnot in the export any more, so unchanged: {gone}\n"
    )
    assert run(labelled, "once") == 0
    assert labelled.outcomes() == before


def test_retry_leaves_images_alone_that_the_configuration_leaves_out_by_now(
    labelled: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled.settings["watch"][0]["exclude"] = ["S2"]
    left_out = [name for name in labelled.outcomes() if name.startswith("S2/")]
    for name in left_out:
        (labelled.results / f"{name}.json").unlink(missing_ok=True)
    capsys.readouterr()
    assert run(labelled, "retry", "--missing") == 0
    said = f"left out by pattern or exclude, so unchanged: {len(left_out)}\n"
    assert capsys.readouterr().out == f"to be labelled again: 0\n{said}"
    assert run(labelled, "retry", "--all") == 0
    assert capsys.readouterr().out == (f"to be labelled again: {4 - len(left_out)}\n{said}")
    image = str(labelled.export / left_out[0])
    assert run(labelled, "retry", "--image", image) == 2
    assert capsys.readouterr().err == (
        f"error: {image} is left out by pattern or exclude; its outcome stays.\n"
    )


def test_retry_image_that_leaves_before_it_is_labelled_keeps_its_outcome(labelled: Site) -> None:
    before = labelled.outcomes()
    assert run(labelled, "retry", "--all") == 0
    shutil.rmtree(labelled.export / "S1")
    assert run(labelled, "once") == 0
    assert labelled.outcomes() == before


def test_retry_with_a_watch_folder_that_is_away_puts_nothing_back(
    labelled: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled.export.rename(labelled.folder / "away")
    assert run(labelled, "retry", "--all") == 6
    assert "is not there. Mount or create it first." in capsys.readouterr().err
    assert not waiting(labelled)


def test_retry_older_than_bundle_labels_again_what_another_bundle_labelled(
    labelled: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(labelled, "retry", "--older-than-bundle") == 0
    assert capsys.readouterr().out == "to be labelled again: 0\n"
    other_bundle(labelled, colour_jpeg)
    labelled.add("S1/1/new.jpg", colour_jpeg("red", seed=4))
    assert run(labelled, "once") == 0
    capsys.readouterr()
    assert run(labelled, "retry", "--older-than-bundle") == 0
    assert capsys.readouterr().out == "to be labelled again: 3\n"
    assert waiting(labelled) == {"red.jpg", "green.jpg", "blue.jpg"}
    assert run(labelled, "once") == 0
    shas = {labelled.sidecar(f"S1/1/{n}.jpg")["model"]["bundle_sha256"] for n in ("red", "new")}
    assert len(shas) == 1
    assert run(labelled, "retry", "--older-than-bundle") == 0
    assert not waiting(labelled)


def test_retry_older_than_bundle_waits_for_the_daemon_to_take_it(
    labelled: Site,
    colour_jpeg: Jpeg,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with labelled.running():
        until((labelled.folder / "state" / "health.json").exists)
        other_bundle(labelled, colour_jpeg)
        assert run(labelled, "retry", "--older-than-bundle") == 2
        assert "still uses another bundle" in capsys.readouterr().err
    assert not waiting(labelled)


@pytest.mark.parametrize("missing", ["S1/1/red.jpg.csv", "S1/1/red.jpg.json"])
def test_retry_missing_labels_again_what_lacks_a_sidecar(
    labelled: Site, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    (labelled.results / missing).unlink()
    capsys.readouterr()
    assert run(labelled, "retry", "--missing") == 0
    assert capsys.readouterr().out == "to be labelled again: 1\n"
    assert waiting(labelled) == {"red.jpg"}
    assert run(labelled, "once") == 0
    assert labelled.sidecar("S1/1/red.jpg")["label"] == "red"


def test_retry_missing_where_the_results_share_is_away_puts_nothing_back(
    labelled: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled.results.rename(labelled.folder / "away")
    labelled.results.mkdir()
    assert run(labelled, "retry", "--missing") == 6
    assert f"no image has its sidecars in {labelled.results}" in capsys.readouterr().err
    assert not waiting(labelled)


def test_retry_missing_where_the_share_goes_away_meanwhile_stops(
    labelled: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from daemon.image.missing_sidecars import MissingSidecars

    require_present = MissingSidecars.require_present

    def unmounted_then(missing: MissingSidecars) -> None:
        require_present(missing)
        shutil.rmtree(labelled.results)

    monkeypatch.setattr(MissingSidecars, "require_present", unmounted_then)
    assert run(labelled, "retry", "--missing") == 6
    assert "have vanished during the search" in capsys.readouterr().err
    assert not waiting(labelled)


def test_retry_image_takes_several_and_one_given_through_a_link(
    labelled: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (labelled.folder / "link").symlink_to(labelled.export)
    monkeypatch.chdir(labelled.export / "S1")
    through_link = str(labelled.folder / "link" / "S2/1/small.jpg")
    capsys.readouterr()
    assert run(labelled, "retry", "--image", "1/red.jpg", "../S1/1/blue.jpg", through_link) == 0
    assert capsys.readouterr().out == "to be labelled again: 3\n"
    assert waiting(labelled) == {"red.jpg", "blue.jpg", "small.jpg"}


def test_retry_image_that_is_not_there_keeps_its_outcome(
    labelled: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labelled.export / "S1/1/red.jpg"
    path.unlink()
    assert run(labelled, "retry", "--image", str(path)) == 2
    assert "is not there; its outcome stays" in capsys.readouterr().err
    assert labelled.outcomes()["S1/1/red.jpg"] == ("done", "labelled", "red", None)


def test_retry_all_is_heard_by_an_image_that_waits_to_be_compared(
    labelled: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    path, before = labelled.export / "S1/1/red.jpg", created(labelled)["red.jpg"]
    path.chmod(0o640)
    with opened_service(labelled.config(), is_once=True) as service:
        version = service.parts.watch_folders[1].look(b"S1/1/red.jpg")
        assert version is not None
        assert service.parts.journal.record_waiting([version]) == 1
    capsys.readouterr()
    assert run(labelled, "retry", "--image", str(path)) == 0
    assert run(labelled, "once") == 0
    assert created(labelled)["red.jpg"] != before


def test_retried_images_do_not_keep_a_new_one_waiting(labelled: Site, colour_jpeg: Jpeg) -> None:
    assert run(labelled, "retry", "--all") == 0
    labelled.add("S3/1/new.jpg", colour_jpeg("green"))
    with opened_service(labelled.config(), is_once=True) as service:
        version = service.parts.watch_folders[1].look(b"S3/1/new.jpg")
        assert version is not None
        service.parts.journal.record_waiting([version])
        (first,) = service.parts.journal.claim(1)
    assert first.version.path == b"S3/1/new.jpg"
