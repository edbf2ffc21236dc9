"""The sections with drawings: one for each level and mode, and figures against settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import Element

from edge.bench.page.drawings.colours import Coloured, coloured, part_colours
from edge.bench.page.drawings.curves import Curve, Point, curves
from edge.bench.page.drawings.distribution import distributions
from edge.bench.page.drawings.stages import beside, stage_bars, stage_names, stages_over_time
from edge.bench.page.drawings.tail import tails
from edge.bench.page.drawings.timeline import timelines
from edge.bench.page.elements.html import Child, tag
from edge.bench.page.elements.names import LEVELS, MODES, short_name
from edge.bench.reading.document import Document, MeasuredSeries
from edge.bench.statistics.names import Level
from edge.bench.statistics.percentiles import Estimate, Figure
from edge.bench.statistics.series import Series

# More rows than this make a drawing too long; the others are in the table.
_MOST_ROWS: Final = 12
# Fewer samples than this have no distribution to look at.
_FEWEST_SAMPLES: Final = 7


def drawn_sections(document: Document) -> Iterator[Element]:
    """A section for each level and mode, from the engine outwards."""
    subjects = list(dict.fromkeys(one.series.subject for one in document.series))
    for level, (name, meaning) in LEVELS.items():
        for mode, (mode_name, mode_meaning) in MODES.items():
            group = [
                one
                for one in document.series
                if (one.series.level, one.series.mode) == (level, mode)
            ]
            if group:
                yield tag(
                    "section",
                    tag("h2", f"{name}, {mode_name}"),
                    tag("p", f"{meaning[0].upper()}{meaning[1:]}; {mode_meaning}.", class_="soft"),
                    *_drawings(group, subjects),
                )


def _drawings(group: Sequence[MeasuredSeries], subjects: Sequence[str]) -> Iterator[Element]:
    enough = [one for one in group if len(one.series.durations_ns) >= _FEWEST_SAMPLES]
    if not enough:
        yield tag("p", "Too few samples for a drawing; the table above has them.")
        return
    shown = coloured(enough[:_MOST_ROWS], subjects)
    if len(shown) < len(group):
        yield tag("p", f"{len(shown)} of {len(group)} series are drawn.", class_="soft")
    yield _figure(
        "How long calls take",
        distributions(shown),
        "Lines: p50, p90, p99 and p99.9 where there are enough samples, each with its interval.",
    )
    yield _figure(
        "The slowest calls",
        _legend([(one.name, one.colour) for one in shown]),
        tails(shown),
        "Faint: more extreme than the number of samples can show.",
    )
    in_bursts = " Each image stands at the moment of its answer." if _is_burst(shown[0]) else ""
    caption = f"Line: the median of all samples.{in_bursts}"
    yield _figure("Latency over time", timelines(shown), caption)
    yield from _stages(shown)


def _is_burst(one: Coloured) -> bool:
    return one.measured.series.mode == "burst"


def _stages(shown: Sequence[Coloured]) -> Iterator[Element]:
    staged = [one for one in shown if one.measured.series.stages_ns]
    if not staged:
        return
    names = stage_names(staged)
    legend = _legend([(name, colour) for name, colour in part_colours(names).items()])
    caption = "Upright line: the end of the call." if any(map(beside, staged)) else ""
    yield _figure("Where the time goes", legend, stage_bars(staged), caption)
    caption = (
        "Medians of each moment, stacked. Where a line is long and straight, others had their turn."
    )
    yield _figure("Stages over time", stages_over_time(staged), caption)


def setting_sections(document: Document) -> Iterator[Element]:
    """Images per second against batch, threads, workers; latency against the rate of arrivals."""
    drawn = [
        drawing
        for title, setting_name, setting, figure in (
            ("Throughput against batch", "images in a call", _by_batch, _rate),
            ("Throughput against threads", "threads", _by_threads, _rate),
            ("Throughput against workers", "workers", _by_workers, _rate),
            ("Latency against arrivals", "images offered per s", _by_offer, _p50),
        )
        for level in LEVELS
        for drawing in _against(document, level, title, setting_name, setting, figure)
    ]
    if drawn:
        yield tag("section", tag("h2", "Throughput and settings"), *drawn)


# A setting of a series, and the series without it, so that those which differ in it alone meet.
Setting = Callable[[Series], tuple[float, Series] | None]


def _by_batch(series: Series) -> tuple[float, Series] | None:
    return float(series.images_per_call), replace(series, images_per_call=1)


def _by_threads(series: Series) -> tuple[float, Series] | None:
    return float(series.threads), replace(series, threads=1)


def _by_workers(series: Series) -> tuple[float, Series] | None:
    return float(series.workers), replace(series, workers=1)


def _by_offer(series: Series) -> tuple[float, Series] | None:
    offered = series.offered_per_second
    return None if not offered else (offered, replace(series, offered_per_second=None))


def _rate(one: MeasuredSeries) -> tuple[str, Figure | None]:
    return "images per second", one.images_per_second


def _p50(one: MeasuredSeries) -> tuple[str, Figure | None]:
    return "median latency in ms", one.percentiles_ms.get("50")


def _against(
    document: Document,
    level: Level,
    title: str,
    setting_name: str,
    setting: Setting,
    figure: Callable[[MeasuredSeries], tuple[str, Figure | None]],
) -> Iterator[Element]:
    subjects = list(dict.fromkeys(one.series.subject for one in document.series))
    met: dict[str, list[tuple[float, MeasuredSeries]]] = defaultdict(list)
    line_names: dict[str, str] = {}
    for one in document.series:
        if one.series.level == level and (found := setting(one.series)):
            met[found[1].id].append((found[0], one))
            line_names[found[1].id] = f"{short_name(found[1])}, {MODES[one.series.mode][0]}"
    lines, what = [], ""
    for name, several in met.items():
        points = []
        for value, one in sorted(several, key=lambda pair: pair[0]):
            what, known = figure(one)
            if isinstance(known, Estimate):
                points.append(Point(value, known, not one.unstable_because))
        if len({point.setting for point in points}) > 1:
            lines.append((several[0][1], line_names[name], tuple(points)))
    if not lines:
        return
    shades = coloured([one for one, _, _ in lines], subjects)
    drawn = [
        Curve(name, shade.colour, points)
        for shade, (_, name, points) in zip(shades, lines, strict=True)
    ]
    legend = _legend([(curve.name, curve.colour) for curve in drawn])
    is_stable = all(point.is_stable for curve in drawn for point in curve.points)
    caption = "" if is_stable else "Hollow: unstable."
    heading = f"{title}, {LEVELS[level][0].lower()} level"
    yield _figure(heading, legend, curves(drawn, setting_name, what), caption)


def _legend(items: Sequence[tuple[str, str]]) -> Element:
    keys: list[Child] = []
    for name, colour in items:
        sample = tag("svg", class_="sample", viewBox="0 0 26 12", aria_hidden="true")
        stroke = tag("line", x1=0, y1=6, x2=26, y2=6, class_=f"key {colour}")
        sample.append(stroke)
        keys.append(tag("li", sample, f" {name}"))
    return tag("ul", *keys, class_="keys")


def _figure(title: str, *parts: Child) -> Element:
    """A heading, its drawings, and last a caption, which may be empty."""
    *drawn, caption = parts
    captions = [tag("figcaption", caption)] if caption else []
    return tag("figure", tag("h3", title), *drawn, *captions)
