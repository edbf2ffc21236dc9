"""Tests for daemon.service: one image's fate, whatever happens on its way."""

from __future__ import annotations

import hashlib
import shutil
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.intake import scan_thread as scanner
from daemon.operator.retry import retry_images, retry_rejected
from daemon.startup import opened_service
from edge.backends.onnx import OnnxSession
from edge.demo.analyzer import export_images
from edge.errors import BackendError
from edge.session import Inferred
from tests.daemon.service_site import COLOURS, held_up, once, put
from tests.support.digests import digests
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until


def test_run_images_of_an_analyzer_are_all_labelled_and_untouched(
    site: Site, colour_jpeg: Jpeg
) -> None:
    images = [(COLOURS[n % 3], colour_jpeg(COLOURS[n % 3], seed=n)) for n in range(60)]
    with site.running():
        exported = list(export_images(images, site.export, seed=3, images_per_slide=10))
        names = {str(image.path.relative_to(site.export)): image for image in exported}
        until(lambda: all(site.has_sidecar(name) for name in names))
        until(lambda: all(row[0] == "done" for row in site.outcomes().values()))
    assert {image.method for image in exported} == {"chunked", "renamed", "preallocated"}
    for name, image in names.items():
        fields = site.sidecar(name)
        assert (fields["label"], fields["image"]["sha256"]) == (image.cell_class, image.sha256)
        assert fields["sample_id"] == name.split("/")[0]
        assert site.outcomes()[name] == ("done", "labelled", image.cell_class, None)
    assert digests(site.export) == {name: image.sha256 for name, image in names.items()}


def test_run_without_hints_finds_everything_by_rescan(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "POLL_S", 0.1)
    site.settings["poll"] = "always"
    site.add("S1/1/a.jpg", colour_jpeg("red"))
    with site.running():
        until(lambda: site.has_sidecar("S1/1/a.jpg"))
        put(site.export / "S2" / "1" / "b.jpg", colour_jpeg("blue"))
        until(lambda: site.has_sidecar("S2/1/b.jpg"))
    assert site.sidecar("S2/1/b.jpg")["label"] == "blue"


def test_run_truncated_image_is_rejected_and_the_next_labelled(
    site: Site, colour_jpeg: Jpeg
) -> None:
    whole = colour_jpeg("green")
    with site.running():
        put(site.export / "half.jpg", whole[: len(whole) // 2])
        put(site.export / "next.jpg", whole)
        until(lambda: site.has_sidecar("next.jpg") and site.has_sidecar("half.jpg"))
        assert site.sidecar("half.jpg")["reason"] == "truncated"
        assert site.sidecar("next.jpg")["label"] == "green"
        # The copy goes on after all: a new version, whose sidecar replaces the first.
        put(site.export / "half.jpg", whole)
        until(lambda: site.outcomes()["half.jpg"] == ("done", "labelled", "green", None))
    assert site.sidecar("half.jpg")["image"]["sha256"] == hashlib.sha256(whole).hexdigest()


def test_run_stalled_copy_is_not_labelled_before_it_is_whole(site: Site, colour_jpeg: Jpeg) -> None:
    whole = colour_jpeg("blue")
    with site.running():
        with (site.export / "slow.jpg").open("wb") as file:
            file.truncate(len(whole))
            file.write(whole[:1000])
            file.flush()
            # Quiet for longer than settle_s: claimed once and found not to be whole.
            until(lambda: "slow.jpg" in site.outcomes())
            put(site.export / "other.jpg", colour_jpeg("red"))
            until(lambda: site.has_sidecar("other.jpg"))
            assert not site.has_sidecar("slow.jpg")
            file.write(whole[1000:])
        until(lambda: site.has_sidecar("slow.jpg"))
    assert site.sidecar("slow.jpg")["label"] == "blue"


def test_run_image_replaced_in_place_is_labelled_again(site: Site, colour_jpeg: Jpeg) -> None:
    with site.running():
        put(site.export / "a.jpg", colour_jpeg("red"))
        until(lambda: site.has_sidecar("a.jpg"))
        put(site.export / "a.jpg", colour_jpeg("blue", seed=5))
        until(lambda: site.outcomes()["a.jpg"] == ("done", "labelled", "blue", None))
    # Only now: the CSV is replaced before the JSON, so that in between the two may differ.
    assert site.sidecar("a.jpg")["label"] == "blue"


def test_run_watch_folder_that_goes_and_comes_back_loses_nothing(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "POLL_S", 0.1)
    with site.running():
        put(site.export / "a.jpg", colour_jpeg("red"))
        until(lambda: site.has_sidecar("a.jpg"))
        shutil.rmtree(site.export)
        put(site.export / "S1" / "b.jpg", colour_jpeg("green"))
        until(lambda: site.has_sidecar("S1/b.jpg"))
    assert site.sidecar("S1/b.jpg")["label"] == "green"


def test_run_results_folder_that_refuses_is_waited_for(
    site: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture
) -> None:
    # A file in the place of a folder refuses even the superuser.
    (site.results / "S1").write_bytes(b"in the way")
    with site.running():
        put(site.export / "S1" / "a.jpg", colour_jpeg("red"))
        put(site.export / "S2" / "b.jpg", colour_jpeg("green"))
        until(lambda: site.has_sidecar("S2/b.jpg"))
        until(lambda: "sidecars cannot be written" in caplog.text)
        assert site.outcomes()["S1/a.jpg"][0] in ("waiting", "claimed")
        (site.results / "S1").unlink()
        until(lambda: site.has_sidecar("S1/a.jpg"))
    assert site.sidecar("S1/a.jpg")["label"] == "red"
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 1
    assert "S1" not in said[0]


def test_run_results_folder_that_goes_away_is_not_made_again_and_its_images_wait(
    site: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture
) -> None:
    aside = site.folder / "aside"
    with site.running():
        put(site.export / "S1" / "a.jpg", colour_jpeg("red"))
        # Visible is not yet durable: without its outcome it would wait with the others.
        until(lambda: site.outcomes().get("S1/a.jpg", ("",))[0] == "done")
        site.results.rename(aside)
        put(site.export / "S1" / "b.jpg", colour_jpeg("green"))
        put(site.export / "S2" / "c.jpg", colour_jpeg("blue"))
        until(lambda: "sidecars cannot be written (the results folder is away)" in caplog.text)
        until(lambda: held_up(site) == {"sidecar: the results folder is away": 2})
        assert not site.results.exists()
        aside.rename(site.results)
        until(lambda: site.has_sidecar("S1/b.jpg") and site.has_sidecar("S2/c.jpg"))
        until(lambda: "sidecars can be written again" in caplog.text)
    assert site.sidecar("S1/b.jpg")["label"] == "green"
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


@pytest.mark.usefixtures("_no_superuser")
def test_run_image_without_permission_waits_and_is_labelled_when_it_has_it(
    site: Site, colour_jpeg: Jpeg, caplog: pytest.LogCaptureFixture
) -> None:
    site.settings["rescan_s"] = 0.2
    for name in "abc":
        site.add(f"S1/1/{name}.jpg", colour_jpeg("red")).chmod(0)
    with site.running():
        until(lambda: held_up(site) == {"unreadable": 3})
        put(site.export / "S2" / "1" / "next.jpg", colour_jpeg("green"))
        until(lambda: site.has_sidecar("S2/1/next.jpg"))
        assert {site.outcomes()[f"S1/1/{name}.jpg"][0] for name in "abc"} <= {"waiting", "claimed"}
        # The permission changes neither size nor mtime.
        for name in "abc":
            (site.export / "S1" / "1" / f"{name}.jpg").chmod(0o600)
        until(lambda: all(site.has_sidecar(f"S1/1/{name}.jpg") for name in "abc"))
    assert site.sidecar("S1/1/a.jpg")["label"] == "red"
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert "may not read some images" in said[0]
    assert "S1" not in said[0]


def test_retry_beside_the_running_daemon_has_images_labelled_again(
    site: Site, colour_jpeg: Jpeg
) -> None:
    site.settings["limits"] = {"max_bytes": 10_000}
    path = site.add("S1/1/a.jpg", colour_jpeg("red", side_px=256))
    site.add("S1/1/b.jpg", colour_jpeg("blue", side_px=16))
    once(site)
    assert site.sidecar("S1/1/a.jpg")["reason"] == "too_large"
    del site.settings["limits"]
    with site.running():
        assert retry_images(site.config(), [path]).images == 1
        until(lambda: site.outcomes()["S1/1/a.jpg"] == ("done", "labelled", "red", None))
        before = site.sidecar("S1/1/b.jpg")["created"]
        assert retry_rejected(site.config(), lambda _: None).images == 1
        until(lambda: site.sidecar("S1/1/b.jpg")["created"] != before)
        until(lambda: site.outcomes()["S1/1/b.jpg"][0] == "done")
    assert site.sidecar("S1/1/a.jpg")["label"] == "red"
    assert site.sidecar("S1/1/b.jpg")["reason"] == "too_small"


def test_run_without_threads_for_its_workers_ends_and_says_what_to_do(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.settings["workers"] = 8
    start = threading.Thread.start
    started: list[str] = []

    def start_few(thread: threading.Thread) -> None:
        if thread.name.startswith("worker"):
            if len(started) == 4:
                raise RuntimeError("can't start new thread")
            started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_few)
    text = (
        r"^only 4 of 8 workers .* new thread\). Set fewer workers, or raise TasksMax= of the unit"
    )
    with opened_service(site.config()) as service, pytest.raises(BackendError, match=text):
        service.run()
    assert len(started) == 4


def test_run_device_that_fails_stops_the_service_and_gives_the_images_back(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer = OnnxSession.infer
    has_failed = threading.Event()

    def fails_on_blue(self: OnnxSession, images: NDArray[np.uint8]) -> Inferred:
        inferred = infer(self, images)
        if (inferred.logits.argmax(axis=1) == 2).any():
            has_failed.set()
            raise BackendError("device lost")
        return inferred

    def run_until_it_fails() -> None:
        with site.running():
            monkeypatch.setattr(OnnxSession, "infer", fails_on_blue)
            put(site.export / "a.jpg", colour_jpeg("blue"))
            until(lambda: "a.jpg" in site.outcomes())
            until(has_failed.is_set)
            until(lambda: site.outcomes()["a.jpg"][0] == "waiting")

    with pytest.raises(BackendError, match="device lost"):
        run_until_it_fails()
    assert not site.has_sidecar("a.jpg")
    monkeypatch.undo()
    once(site)
    assert site.sidecar("a.jpg")["label"] == "blue"
