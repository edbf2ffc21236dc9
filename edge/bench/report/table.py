"""The document as text for a terminal, 80 columns wide."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from edge.bench.report.words import LEVELS, mode_of, name_of, number, place_of
from edge.bench.statistics.percentiles import samples_needed
from edge.bench.statistics.ratio import RATE
from edge.text.counted import counted
from edge.text.printable import printable
from edge.text.wrapped import wrapped

_NAME: Final = 20
_CELL: Final = 12
# The mean durations of stages within a call may exceed that of the call by so much, as they are
# rounded.
_ROUNDING: Final = 1.001
# Two numbers below or above are wider than a column, unless they are shortened.
_SMALL, _LONG, _LONGER, _MILLION = 0.1, 9_999.5, 99_950.0, 999_500.0


def table(document: Mapping[str, Any]) -> str:
    """What was measured, on what, every figure with its interval, and what it cannot say."""
    parts = [
        _heading(document),
        _figures(document["series"]),
        "\n".join(
            [
                *_times_to_last(document["series"]),
                *_stages(document["series"]),
                *_energy(document["series"]),
                *_ratios(document),
            ]
        ),
        "\n".join(_against(document["against"])),
        "\n".join(_doubts(document)),
    ]
    return "\n\n".join(filter(None, parts))


def _heading(document: Mapping[str, Any]) -> str:
    bundle, images, machine = document["bundle"], document["images"], document["environment"]
    source = "own images" if images["source"] == "own" else "drawn cells"
    int8 = ", ".join(machine["int8_instructions"]) or "none"
    runtime = machine["packages"].get("onnxruntime")
    cores = counted(machine["cores"], "core")
    subject = f"{bundle['name']} {bundle['version']}, {images['count']:,} {source}"
    place = f"{machine['cpu']}, {cores}, INT8 instructions: {int8}, ONNX Runtime {runtime}"
    modes = dict.fromkeys(mode_of(one) for one in document["series"])
    lines = [f"{subject}, {document['created'][:10]}", place, *modes]
    return "\n".join(map(wrapped, lines))


def _figures(series: Sequence[Mapping[str, Any]]) -> str:
    percents = list(series[0]["percentiles_ms"])
    columns = [*(f"p{percent} ms" for percent in percents), "images/s"]
    lines = []
    for level in LEVELS:
        of_level = [one for one in series if one["level"] == level]
        if not of_level:
            continue
        heading = f"{level} level".ljust(_NAME)
        lines.append(f"{heading}{''.join(f'{column:>{_CELL}}' for column in columns)}")
        for one in of_level:
            lines += _rows(one, percents)
    return "\n".join(lines)


def _rows(one: Mapping[str, Any], percents: Sequence[str]) -> Iterator[str]:
    """The figures, and below them what they lie between."""
    figures = [one["percentiles_ms"][percent] for percent in percents]
    cells = [_cell(f, float(p)) for f, p in zip(figures, percents, strict=True)]
    rate = one["images_per_second"]
    names = textwrap.wrap(printable(name_of(one)), _NAME - 4) or [""]
    if one["unstable_because"]:
        names.append("unstable")
    names += [""] * (2 - len(names))
    spans = [_span(figure) for figure in [*figures, rate]]
    yield f"  {names[0]:{_NAME - 2}}{_columns([*cells, _cell(rate, None)])}"
    yield f"    {names[1]:{_NAME - 4}}{_columns(spans)}".rstrip()
    yield from (f"    {name}" for name in names[2:])


def _columns(cells: Sequence[str]) -> str:
    return "".join(f" {cell:>{_CELL - 1}}" for cell in cells)


def _cell(figure: Mapping[str, Any], percent: float | None) -> str:
    if "refused" not in figure:
        return number(figure["value"])
    return "too few" if percent is None else f"needs {samples_needed(percent):,}"


def _span(figure: Mapping[str, Any]) -> str:
    if "refused" in figure:
        return ""
    return f"{_short(figure['low'])}-{_short(figure['high'])}"


def _short(value: float) -> str:
    """So that two of them fit into a column."""
    if value < _SMALL:
        return f"{value:.3f}"
    if value < _LONG:
        return number(value)
    if value < _MILLION:
        return f"{value / 1e3:.1f}k" if value < _LONGER else f"{value / 1e3:.0f}k"
    return f"{value / 1e6:.1f}M"


def _times_to_last(series: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in series:
        if one["mode"] != "burst":
            continue
        last_ms: dict[int, float] = {}
        for turn, duration_ns in zip(one["turns"], one["durations_ns"], strict=True):
            last_ms[turn] = max(last_ms.get(turn, 0.0), duration_ns / 1e6)
        size = one["turns"].count(one["turns"][0])
        found = sorted(last_ms.values())
        yield wrapped(
            f"{place_of(one)}: the last of {counted(size, 'image')} after "
            f"{number(statistics.median(found))} ms (median of {counted(len(found), 'burst')}, "
            f"{number(found[0])} to {number(found[-1])})"
        )


def _stages(series: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in series:
        room_ns, parts = _ROUNDING * statistics.fmean(one["durations_ns"]), []
        for name, values in one["stages_ns"].items():
            median_ms = statistics.median(values) / 1e6 / one["images_per_call"]
            room_ns -= statistics.fmean(values)
            # What has no room in the call was measured between the calls.
            place = "" if room_ns >= 0 else "and beside it "
            parts.append(f"{place}{name} {number(median_ms)}")
        if parts:
            told = ", ".join(parts)
            yield wrapped(f"stages of {place_of(one)}, median ms per image: {told}")


def _energy(series: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in series:
        if energy := one["energy"]:
            joules = energy["joules_per_image"]
            yield wrapped(
                f"energy of {place_of(one)}: {number(joules * 1e3)} mJ per "
                f"image ({energy['source']})"
            )


def _ratios(document: Mapping[str, Any]) -> Iterator[str]:
    series = {one["id"]: one for one in document["series"]}
    for one in document["ratios"]:
        of, to, estimate = series[one["of"]], series[one["to"]], one["estimate"]
        fast, slow = (of, to) if one["what"] == RATE else (to, of)
        if "refused" in estimate:
            why = str(estimate["refused"])
            if why.startswith("unstable"):
                why = "as one of them is unstable"
            yield wrapped(f"no ratio of {place_of(fast)} to {place_of(slow)}, {why}")
            continue
        value, low, high = (number(estimate[key]) for key in ("value", "low", "high"))
        yield wrapped(
            f"{place_of(fast)} is {value} times as fast as {place_of(slow)} ({one['what']}, "
            f"{estimate['confidence']:.0%} interval {low} to {high})"
        )


def _against(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in entries:
        name = f"{one['subject']} ({one['version']})" if one["version"] else one["subject"]
        if one["ran"]:
            told = f"{one['labels_equal']} of {one['labels_compared']} labels as ours in FP32"
        else:
            told = f"not measured: {one['why_not']}"
        yield wrapped(f"{name}: {told}")


def _doubts(document: Mapping[str, Any]) -> Iterator[str]:
    """Figures that are missing, and why series are unstable. Then the notes."""
    series = document["series"]
    yield from _missing(series)
    yield from _unstable(series)
    for note in document["notes"]:
        yield wrapped(note)


def _missing(series: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How much longer it has to be measured for the next percentile."""
    for percent in series[0]["percentiles_ms"]:
        counts = [one["count"] for one in series if "refused" in one["percentiles_ms"][percent]]
        if counts:
            needed = samples_needed(float(percent))
            times = f"{math.ceil(10 * needed / min(counts)) / 10:.1f}"
            yield wrapped(
                f"needs: the samples that a percentile needs. The fewest here are {min(counts):,}: "
                f"for p{percent} of every series measure {times} times as long (--seconds)"
            )
            return


def _unstable(series: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """First what concerns all series, then each of them."""
    reasons = [one["unstable_because"] for one in series]
    shared = [why for why in reasons[0] if all(why in of_one for of_one in reasons)]
    if any(reasons):
        yield wrapped(
            "unstable: these figures may come out differently the next time; measure again while "
            "the machine is idle, or for longer"
        )
    if shared:
        whole = "all" if len(series) > 1 else place_of(series[0])
        yield wrapped(f"- {whole}: {'; '.join(shared)}")
    for one, of_one in zip(series, reasons, strict=True):
        if own := [why for why in of_one if why not in shared]:
            yield wrapped(f"- {place_of(one)}: {'; '.join(own)}")
