"""Tests for daemon.drift.streams: what is said when images change and are right again."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.drift.streams import Streams
from daemon.health.health import Health, HealthStatus
from daemon.health.metrics import Metrics
from daemon.image.records import Finished
from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.journal.file import NAME
from daemon.journal.journal import Journal
from edge.trust.drift import Drift
from tests.daemon.drift.shifting import find_blue_strange
from tests.daemon.journal.images import BUNDLE, Clock, verdicts
from tests.daemon.service_site import once
from tests.support.images import Jpeg
from tests.support.site import Site
from tests.support.waiting import until

CHANGED = [4.0] * 9
USUAL = [0.0] * 99


@pytest.fixture
def health() -> Health:
    return Health()


def streams_of(
    journal: Journal, folder: Path, health: Health, *, bundle: str = BUNDLE, clock: Clock
) -> Streams:
    export = folder / "export"
    watch = WatchFolder(1, export, export, names_regex(("*.jpg",)))
    return Streams(journal, {1: watch}, bundle, health, clock=clock)


@pytest.fixture
def streams(journal: Journal, tmp_path: Path, health: Health) -> Streams:
    return streams_of(journal, tmp_path, health, clock=Clock())


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "daemon.drift")
    return caplog


def gauges(health: Health) -> dict[str, float]:
    text = Metrics(health).text().decode()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    return {s.name: s.value for s in samples if s.labels.get("watch") == "0"}


def test_alarm_is_said_once_when_it_begins_and_once_when_it_ends(
    streams: Streams, journal: Journal, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    for shifts in (USUAL, CHANGED, CHANGED, USUAL, USUAL):
        streams.conclude(verdicts(journal, shifts))
    begun, ended = said.messages
    assert begun.startswith(f"images of {tmp_path}/export look different from the laboratory's")
    assert begun.endswith(": check lamp, focus, stain, white balance or instrument")
    assert ended.startswith(f"images of {tmp_path}/export look like the laboratory's again")


def test_alarm_is_in_health_and_metrics_and_is_not_vital(
    streams: Streams, journal: Journal, health: Health
) -> None:
    assert gauges(health) == {}
    streams.conclude(verdicts(journal, USUAL))
    assert gauges(health) == {
        "microscope_edge_drift_alarm": 0.0,
        "microscope_edge_drift_level": 0.0,
    }
    streams.conclude(verdicts(journal, CHANGED))
    assert gauges(health)["microscope_edge_drift_alarm"] == 1.0
    assert gauges(health)["microscope_edge_drift_level"] == 27.0
    report = health.report()
    assert report.status is HealthStatus.DEGRADED
    (reason,) = report.reasons
    assert reason.startswith("drift-0: images look different from the laboratory's since ")
    (drift,) = report.to_dict()["drift"]
    assert (drift["number"], drift["cells"]) == (0, 108)
    assert drift["since"] in reason
    streams.conclude(verdicts(journal, USUAL))
    assert health.report().status is HealthStatus.OK


def test_image_during_an_alarm_is_marked_and_no_other(streams: Streams, journal: Journal) -> None:
    (image,) = verdicts(journal, [0.0])
    assert isinstance(image, Finished)
    assert streams.marked(image) is image
    streams.conclude(verdicts(journal, CHANGED))
    (stream,) = journal.streams()
    assert stream.drift is not None
    assert stream.drift.since_s is not None
    assert streams.marked(image).drift_since_s == stream.drift.since_s


def test_alarm_goes_on_after_a_restart_without_another_line(
    streams: Streams,
    journal: Journal,
    tmp_path: Path,
    health: Health,
    said: pytest.LogCaptureFixture,
) -> None:
    streams.conclude(verdicts(journal, CHANGED))
    said.clear()
    again = Health()
    after = streams_of(journal, tmp_path, again, clock=Clock())
    assert again.report().reasons == health.report().reasons
    after.conclude(verdicts(journal, CHANGED))
    assert said.messages == []


def test_another_bundle_begins_anew_and_says_that_the_alarm_is_over(
    streams: Streams, journal: Journal, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    streams.conclude(verdicts(journal, CHANGED))
    said.clear()
    again = Health()
    streams_of(journal, tmp_path, again, bundle="b" * 64, clock=Clock())
    (line,) = said.messages
    assert line.startswith(f"images of {tmp_path}/export are watched anew for drift")
    assert again.report().status is HealthStatus.OK


def test_alarm_of_another_bundle_stays_over(
    streams: Streams, journal: Journal, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    """Neither a look at another alarm nor the first bundle may bring it back."""
    streams.conclude(verdicts(journal, CHANGED))
    streams_of(journal, tmp_path, Health(), bundle="b" * 64, clock=Clock())
    (stream,) = journal.streams()
    assert (stream.bundle_sha256, stream.drift) == ("b" * 64, Drift())
    said.clear()
    for bundle in ("b" * 64, BUNDLE):
        again = Health()
        streams_of(journal, tmp_path, again, bundle=bundle, clock=Clock())
        assert again.report().status is HealthStatus.OK
    assert said.messages == []


def test_acknowledgement_between_two_batches_is_said_as_one(
    streams: Streams, journal: Journal, said: pytest.LogCaptureFixture
) -> None:
    streams.conclude(verdicts(journal, CHANGED))
    said.clear()
    journal.begin_stream_anew(1)
    streams.conclude(verdicts(journal, USUAL))
    (line,) = said.messages
    assert "a person acknowledged" in line


def test_alarm_that_an_acknowledged_one_is_followed_by_is_said(
    streams: Streams, journal: Journal, said: pytest.LogCaptureFixture
) -> None:
    streams.conclude(verdicts(journal, CHANGED))
    said.clear()
    journal.begin_stream_anew(1)
    streams.conclude(verdicts(journal, CHANGED))
    ended, begun = said.messages
    assert "a person acknowledged" in ended
    assert "look different" in begun


def test_acknowledged_alarm_is_noticed_within_seconds_without_an_image(
    streams: Streams,
    journal: Journal,
    tmp_path: Path,
    health: Health,
    said: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    streams = streams_of(journal, tmp_path, health, clock=clock)
    streams.conclude(verdicts(journal, CHANGED))
    said.clear()
    journal.begin_stream_anew(1)
    streams.review()
    assert said.messages == []
    clock.now_s += 5.0
    streams.review()
    (line,) = said.messages
    assert "a person acknowledged" in line
    assert health.report().status is HealthStatus.OK


def test_damaged_state_is_said_once_and_images_go_on(
    streams: Streams, journal: Journal, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(tmp_path / NAME)) as db:
        db.execute("DROP TABLE stream")
    for _ in range(3):
        streams.conclude(verdicts(journal, CHANGED))
    (line,) = said.messages
    assert "damaged" in line
    assert not journal.has_open_images()


@pytest.mark.parametrize("damaged", ["'{'", "CAST(x'7bff7d' AS TEXT)"])
def test_start_with_a_damaged_state_says_so(
    damaged: str, streams: Streams, journal: Journal, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    streams.conclude(verdicts(journal, CHANGED))
    said.clear()
    with closing(sqlite3.connect(tmp_path / NAME)) as db:
        db.execute(f"UPDATE stream SET drift = {damaged}")  # noqa: S608
        db.commit()
    after = streams_of(journal, tmp_path, Health(), clock=Clock())
    (line,) = said.messages
    assert "damaged" in line
    after.conclude(verdicts(journal, [0.0]))
    (stream,) = journal.streams()
    assert stream.drift == Drift(cells=1)


def test_once_marks_the_sidecars_of_images_that_come_during_an_alarm(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_blue_strange(monkeypatch)
    site.settings |= {"workers": 1, "batch": {"max_images": 1}}
    for n in range(12):
        site.add(f"S1/1/{n:02}.jpg", colour_jpeg("blue", seed=n), age_s=100 - n)
    assert once(site) == 0
    fields = [site.sidecar(f"S1/1/{n:02}.jpg")["drift"] for n in range(12)]
    # The alarm begins with the seventh, whichever that is.
    assert fields.count(None) == 7
    assert len({drift["since"] for drift in fields if drift}) == 1


def test_run_that_is_restarted_during_an_alarm_goes_on_with_it(
    site: Site, colour_jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_blue_strange(monkeypatch)
    site.settings |= {"workers": 1, "batch": {"max_images": 4}}
    with site.running():
        for n in range(12):
            site.add(f"S1/1/{n}.jpg", colour_jpeg("blue", seed=n))
        until(lambda: [row[0] for row in site.outcomes().values()] == ["done"] * 12)
    with site.running():
        site.add("S2/1/next.jpg", colour_jpeg("red"))
        until(lambda: site.has_sidecar("S2/1/next.jpg"))
    drift = site.sidecar("S2/1/next.jpg")["drift"]
    assert drift is not None
    assert site.sidecar("S1/1/0.jpg")["drift"] is None
