"""The tables: series with their intervals, and the back ends side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree.ElementTree import Element

from edge.bench.page.elements.html import Child, listed, tag
from edge.bench.page.elements.names import LEVELS, MODES, short_name
from edge.bench.page.elements.numbers import interval_of, significant, value_of
from edge.bench.reading.document import PERCENTS, Contender, Document, MeasuredSeries
from edge.bench.statistics.percentiles import Estimate, Figure
from edge.text.counted import counted

_COLUMNS: Final = ("series", "samples", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms")


def series_table(document: Document) -> Element:
    """Every series in a row, and below it why it is unstable."""
    if not document.series:
        return tag(
            "section", tag("h2", "Series"), tag("p", "This measurement has no series of samples.")
        )
    has_energy = any(one.joules_per_image is not None for one in document.series)
    columns = [*_COLUMNS, "images/s", *(["J/image"] if has_energy else []), "stable"]
    heads = [tag("th", name, class_="text" if name == "series" else "number") for name in columns]
    rows = [row for one in document.series for row in _rows(one, columns, document.reasons)]
    return tag(
        "section",
        tag("h2", "Series"),
        _table(heads, rows, "Below each figure: where the true one lies, with 95 %."),
        *_sources(document.series),
    )


def _rows(one: MeasuredSeries, columns: Sequence[str], reasons: Sequence[str]) -> Iterator[Element]:
    level, mode = LEVELS[one.series.level][0], MODES[one.series.mode][0]
    name = tag("th", short_name(one.series), tag("small", f"{level}, {mode}"), class_="text")
    is_stable = not one.unstable_because
    energy = "-" if one.joules_per_image is None else significant(one.joules_per_image)
    mark = tag(
        "td", "✓ yes" if is_stable else "! no", class_="mark good" if is_stable else "mark warn"
    )
    yield tag(
        "tr",
        name,
        _cell(f"{len(one.series.durations_ns):,}"),
        *(_figure(one.percentiles_ms.get(percent)) for percent in PERCENTS),
        _cell(significant(one.max_ms)),
        _figure(one.images_per_second),
        *([_cell(energy)] if "J/image" in columns else []),
        mark,
        class_="" if is_stable else "has-note",
    )
    if not is_stable:
        # What happened on the machine stands at the top of the page.
        own = [why for why in one.unstable_because if why not in reasons] or one.unstable_because
        note = tag("td", "unstable: ", "; ".join(own), colspan=len(columns))
        yield tag("tr", note, class_="note")


def _figure(figure: Figure | None) -> Element:
    if figure is None:
        return _cell("-")
    if isinstance(figure, Estimate):
        return tag("td", value_of(figure), tag("small", interval_of(figure)), class_="number")
    # The reason is long; a browser shows it where the pointer is, and a reader reads it.
    return tag("td", tag("abbr", "-", title=figure.why), class_="number")


def _sources(series: Sequence[MeasuredSeries]) -> Iterator[Element]:
    refused = dict.fromkeys(
        figure.why
        for one in series
        for figure in (*one.percentiles_ms.values(), one.images_per_second)
        if not isinstance(figure, Estimate)
    )
    if refused:
        yield tag("p", "A dash: too few samples.", class_="soft")
        yield tag("details", tag("summary", "Why figures are missing"), listed(refused, "lines"))
    if sources := dict.fromkeys(one.energy_source for one in series if one.energy_source):
        yield tag("p", f"Energy: {'; '.join(sources)}; others who work count too.", class_="soft")


def ratio_tiles(document: Document) -> Iterator[Element]:
    """Each ratio as a large number with its interval, or the reason why there is none."""
    if not document.ratios:
        return
    names = {one.id: short_name(one.series) for one in document.series}
    places = {
        one.id: f"{LEVELS[one.series.level][0].lower()}, {MODES[one.series.mode][0]}"
        for one in document.series
    }
    tiles, refused = [], {}
    for one in document.ratios:
        of, to = names.get(one.of, one.of), names.get(one.to, one.to)
        what = f"{one.what}: {of} to {to}"
        place = places.get(one.of, "")
        if isinstance(one.estimate, Estimate):
            value = tag("dd", f"{significant(one.estimate.value)} times", class_="value")
            interval = tag("dd", f"{interval_of(one.estimate)} (95 %)")
            tiles.append(tag("div", tag("dt", what), value, interval, tag("dd", place)))
        else:
            # The reasons stand below, at the series that they are of.
            why = one.estimate.why
            if why.startswith("unstable"):
                why = "one of the two is unstable"
            refused[f"{what} ({place})" if place else what] = why
    parts: list[Child] = [tag("h2", "Ratios")]
    if tiles:
        parts.append(tag("dl", *tiles, class_="tiles"))
    if refused:
        lines = [f"No ratio of {what}: {why}" for what, why in refused.items()]
        parts.append(listed(lines, "warnings"))
    yield tag("section", *parts)


def side_by_side(document: Document) -> Iterator[Element]:
    """The back ends and scripts that were to run on the same images."""
    if not document.against:
        return
    columns = ("what ran", "version", "equal labels", "")
    heads = [tag("th", name, class_="text") for name in columns]
    yield tag(
        "section",
        tag("h2", "Side by side"),
        _table(heads, [_contender(one) for one in document.against], "On the same images."),
    )


def _contender(one: Contender) -> Element:
    labels = f"{one.labels_equal:,} of {counted(one.labels_compared, 'label')}"
    is_equal = one.labels_equal == one.labels_compared
    said = "measured" if one.ran else f"not run: {one.why_not or 'no reason was given'}"
    return tag(
        "tr",
        tag("th", one.subject, class_="text"),
        tag("td", one.version or "-", class_="text"),
        tag(
            "td", labels if one.labels_compared else "-", class_="text" if is_equal else "text warn"
        ),
        tag("td", said, class_="text" if one.ran else "text warn"),
    )


def _table(heads: Sequence[Child], rows: Sequence[Child], caption: str) -> Element:
    table = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *rows),
    )
    return tag("div", table, class_="scroll")


def _cell(text: str) -> Element:
    return tag("td", text, class_="number")
