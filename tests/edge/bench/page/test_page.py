from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from selenium.webdriver import Chrome

from edge.bench.page.page import page
from tests.support.bench_document import SCHEMA, calm_series, document_of
from tests.support.bench_pages import (
    DOCUMENTS,
    large_document,
    small_document,
    unstable_document,
)
from tests.support.browser import events_of, open_browser
from tests.support.series import series_of
from tests.support.wheel import ROOT, files_of_wheel

HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\u202e"


def text_of(html: str) -> str:
    """What a reader sees, without the style sheet."""
    return re.sub(r"<[^>]+>", " ", html.split("</style>")[1])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_page_of_every_kind_of_measurement_is_complete_in_itself(name: str) -> None:
    document = DOCUMENTS[name]()
    jsonschema.validate(document, SCHEMA)
    html = page(document)
    assert html.startswith('<!doctype html>\n<html lang="en">')
    assert "<script" not in html
    assert not re.search(r"""(?:src|href|url\()\s*=?\s*["']?\s*(?:https?:)?//""", html)
    assert not re.search(r"\bnan\b|\binf\b", text_of(html).lower().replace("infer", ""))
    assert "NaN" not in html


def test_page_of_a_large_measurement_stays_small() -> None:
    assert len(page(large_document()).encode()) < 2_000_000


def test_page_shows_each_figure_with_its_interval() -> None:
    document = small_document()
    text = text_of(page(document))
    for one in document["series"]:
        figure = one["percentiles_ms"]["50"]
        assert f"{figure['value']:.2f}" in text
        assert f"{figure['low']:.2f} to {figure['high']:.2f}" in text
    ratio = document["ratios"][0]["estimate"]
    assert f"{ratio['value']:.2f} times" in text
    assert "All series are stable" in text
    assert "p99.9 needs 4,603 samples; there are 600." in text


def test_page_of_unstable_series_says_so_first_and_shows_no_ratio() -> None:
    text = text_of(page(unstable_document()))
    assert "No series is stable" in text
    assert "other processes used 1.6 of 2 cores" in text
    assert re.search(
        r"No ratio of median latency: fp32 to int8 \(call, single stream\): one of the two is unst",
        text,
    )
    assert " times" not in text.split("Series")[0].split("No ratio")[1]


def test_page_names_what_did_not_run_and_labels_that_differ() -> None:
    text = text_of(page(large_document()))
    assert "not run: no NVIDIA driver" in text
    assert "63 of 64 labels" in text


def test_page_draws_throughput_against_batch_and_threads_and_latency_against_rate() -> None:
    text = text_of(page(large_document()))
    assert "Throughput against batch, " in text
    assert "Throughput against threads" in text
    assert "Throughput against workers" in text
    assert "int8, 2 workers" in text
    assert "Latency against arrivals" in text
    assert "Throughput" not in text_of(page(small_document()))


def test_page_names_each_line_of_a_drawing_once() -> None:
    html = page(large_document())
    figures = re.findall(
        r"<figure><h3>((?:Throughput|Latency against).*?)</figure>", html, re.DOTALL
    )
    assert len(figures) == 4
    for drawing in figures:
        keys = re.findall(r"</svg>([^<]*)</li>", drawing.split("</ul>")[0])
        assert len(keys) == len(set(keys)) > 0
    by_batch = next(one for one in figures if one.startswith("Throughput against batch"))
    assert by_batch.startswith("Throughput against batch, engine level")
    assert "int8, 2 threads, single stream" in by_batch


def test_page_with_hostile_texts_shows_them_as_text() -> None:
    document = document_of(
        calm_series(subject=HOSTILE, stages_ns={HOSTILE: np.ones(600, np.int64)}),
        bundle={"name": HOSTILE, "version": HOSTILE, "sha256": "b" * 64},
        command=[HOSTILE],
        notes=[HOSTILE],
        against=[
            {
                "subject": HOSTILE,
                "ran": False,
                "why_not": HOSTILE,
                "version": HOSTILE,
                "labels_compared": 0,
                "labels_equal": 0,
            }
        ],
    )
    document["environment"]["cpu"] = HOSTILE
    document["environment"]["packages"][HOSTILE] = HOSTILE
    document["conditions"]["reasons"] = [HOSTILE]
    document["series"][0]["unstable_because"] = [HOSTILE]
    html = page(document)
    assert "<script" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


@pytest.mark.parametrize("key", ["environment", "conditions"])
def test_page_with_facts_of_wrong_types_is_made_all_the_same(key: str) -> None:
    document = small_document()
    for wrong in (None, [1], {"a": 1}, "text", -1.5, True):
        document[key] = dict.fromkeys(document[key], wrong)
        document["conditions"]["reasons"] = []
        assert page(document)


def strange_series() -> Iterator[Any]:
    yield series_of([3.0])
    yield series_of([3.0] * 600)
    yield series_of([0.0] * 50)
    yield series_of([-5.0] * 50, window_ns=0)
    yield series_of([1e-6, 1e5] * 50)
    yield series_of(np.arange(1.0, 9.0), starts_ns=np.zeros(8, np.int64), window_ns=0)
    yield series_of([1.0] * 8, starts_ns=np.arange(8) - 10_000_000_000)
    yield series_of([1.0] * 8, stages_ns={"more than all": np.full(8, 9_000_000)})
    yield series_of([1.0] * 8, stages_ns={"nothing": np.zeros(8, np.int64)})


@pytest.mark.parametrize(
    "series", list(strange_series()), ids=lambda one: str(one.durations_ns[:3])
)
def test_page_of_strange_durations_is_made_without_a_number_that_is_none(series: Any) -> None:
    html = page(document_of(series))
    assert not re.search(r"\b(nan|inf)\b", html.replace("infer", ""), re.IGNORECASE)


def test_page_of_no_measurement_is_refused() -> None:
    with pytest.raises(ValueError, match="schema is missing"):
        page({})


def test_wheel_holds_the_style_and_the_schema(tmp_path: Path) -> None:
    held = files_of_wheel(tmp_path, ("edge",))
    for name in ("edge/bench/page/page.css", "edge/schemas/edge-bench-2.json"):
        assert held[name] == (ROOT / name).read_bytes()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with open_browser(tmp_path_factory.mktemp("browser")) as opened:
        # The page must be whole without scripts.
        opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        yield opened


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("width", [1280, 420])
def test_page_in_a_browser_fits_its_width_and_asks_for_nothing(
    browser: Chrome, tmp_path: Path, name: str, width: int
) -> None:
    path = tmp_path / "page.html"
    path.write_text(page(DOCUMENTS[name]()), "utf-8")
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    events_of(browser)
    browser.get(path.as_uri())
    metrics = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})
    assert metrics["cssContentSize"]["width"] <= width
    asked = {
        event["params"]["request"]["url"]
        for event in events_of(browser)
        if event["method"] == "Network.requestWillBeSent"
    }
    assert asked == {path.as_uri()}
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_in_a_browser_has_texts_that_can_be_read(
    browser: Chrome, tmp_path: Path, scheme: str
) -> None:
    path = tmp_path / "page.html"
    path.write_text(page(unstable_document()), "utf-8")
    feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.get(path.as_uri())
    colours = browser.execute_script(
        """return [...document.querySelectorAll('h1,h2,h3,p,th,td,small,li,dt,dd,figcaption,text')]
        .map(one => {
          let back = one;
          while (getComputedStyle(back).backgroundColor === 'rgba(0, 0, 0, 0)')
            back = back.parentElement;
          const style = getComputedStyle(one);
          return [one instanceof SVGElement ? style.fill : style.color,
                  getComputedStyle(back).backgroundColor];
        })"""
    )
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    pairs = {tuple(pair) for pair in colours}
    assert len(pairs) >= 5
    assert [pair for pair in pairs if _contrast(*pair) < 4.5] == []


def _contrast(first: str, second: str) -> float:
    """Of WCAG 2.1, from two colours such as `rgb(1, 2, 3)`."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
