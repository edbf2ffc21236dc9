"""What a document of schema `edge-bench/2` says, checked and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

import numpy as np

from edge.bench.reading.fields import Fields
from edge.bench.statistics.names import Level, Mode
from edge.bench.statistics.percentiles import Estimate, Figure, Refused
from edge.bench.statistics.series import Series, WarmUp
from edge.text.counted import counted

SCHEMA: Final = "edge-bench/2"
PERCENTS: Final = ("50", "90", "99", "99.9")
_MOST_SERIES: Final = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredSeries:
    """A series with the figures that were made of it; `series` holds its samples."""

    series: Series
    images_per_second: Figure
    percentiles_ms: Mapping[str, Figure]
    max_ms: float
    unstable_because: tuple[str, ...]
    joules_per_image: float | None
    energy_source: str | None

    @property
    def id(self) -> str:
        """The name within the document."""
        return self.series.id


@dataclass(frozen=True, slots=True)
class MeasuredRatio:
    """How many times the first series is of the second, in the quantity `what`."""

    of: str
    to: str
    what: str
    estimate: Figure


@dataclass(frozen=True, slots=True)
class Contender:
    """A back end or script that was to run side by side, and why it did not."""

    subject: str
    ran: bool
    why_not: str | None
    version: str | None
    labels_compared: int
    labels_equal: int


@dataclass(frozen=True, slots=True)
class Subject:
    """The bundle and the images that were measured; equal images have an equal hash."""

    bundle: str
    version: str
    bundle_sha256: str
    images: str
    image_count: int
    images_sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """One measurement. `environment` and `conditions` are as in the JSON, without other checks."""

    created: str
    software: str
    command: tuple[str, ...]
    subject: Subject
    environment: Mapping[str, Any]
    conditions: Mapping[str, Any]
    reasons: tuple[str, ...]
    series: tuple[MeasuredSeries, ...]
    ratios: tuple[MeasuredRatio, ...]
    against: tuple[Contender, ...]
    notes: tuple[str, ...]


def parse_document(value: Any) -> Document:
    """The document in parsed JSON.

    Raises:
        ValueError: it is none; the text says in a line where and why.
    """
    fields = Fields(value)
    _check_schema(fields)
    series = tuple(_series(one) for one in _bounded(fields.blocks("series")))
    ids = [one.id for one in series]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise ValueError(f"series {twice!r} is there twice")
    return Document(
        created=fields.text("created"),
        software=fields.text("software"),
        command=fields.texts("command"),
        subject=_subject(fields.block("bundle"), fields.block("images")),
        environment=_mapping(fields, "environment", value),
        conditions=_mapping(fields, "conditions", value),
        reasons=fields.block("conditions").texts("reasons"),
        series=series,
        ratios=tuple(_ratio(one) for one in fields.blocks("ratios")),
        against=tuple(_contender(one) for one in fields.blocks("against")),
        notes=fields.texts("notes"),
    )


def _check_schema(fields: Fields) -> None:
    schema = fields.text("schema")
    if schema == SCHEMA:
        return
    if schema == "edge-bench/1":
        raise ValueError(f"it is of schema edge-bench/1, without samples; it needs {SCHEMA}")
    raise ValueError(f"its schema is {schema[:60]!r}; this version reads {SCHEMA}")


def _bounded(blocks: list[Fields]) -> list[Fields]:
    if len(blocks) > _MOST_SERIES:
        raise ValueError(f"it has {len(blocks):,} series; at most {_MOST_SERIES:,} are read")
    return blocks


def _mapping(fields: Fields, key: str, value: Any) -> Mapping[str, Any]:
    fields.block(key)
    found: Mapping[str, Any] = value[key]
    return found


def _subject(bundle: Fields, images: Fields) -> Subject:
    return Subject(
        bundle=bundle.text("name"),
        version=bundle.text("version"),
        bundle_sha256=bundle.text("sha256"),
        images=images.text("source"),
        image_count=images.whole("count"),
        images_sha256=images.text("sha256"),
    )


def _series(fields: Fields) -> MeasuredSeries:
    energy = fields.block("energy") if fields.has("energy") else None
    percentiles = fields.block("percentiles_ms")
    series = _samples(fields)
    if fields.text("id") != series.id:
        raise ValueError(f"{fields.place('id')} is {fields.text('id')[:60]!r}, not {series.id!r}")
    return MeasuredSeries(
        series=series,
        images_per_second=_figure(fields.block("images_per_second")),
        percentiles_ms={name: _figure(percentiles.block(name)) for name in percentiles.names()},
        max_ms=fields.number("max_ms"),
        unstable_because=fields.texts("unstable_because"),
        joules_per_image=energy.number("joules_per_image") if energy else None,
        energy_source=energy.text("source") if energy else None,
    )


def _samples(fields: Fields) -> Series:
    count = fields.whole("count", low=1)
    stages = fields.block("stages_ns")
    warm_up = fields.block("warm_up")
    return Series(
        subject=fields.text("subject"),
        level=fields.choice("level", get_args(Level)),
        mode=fields.choice("mode", get_args(Mode)),
        durations_ns=fields.wholes("durations_ns", count),
        starts_ns=fields.wholes("starts_ns", count),
        turns=fields.wholes("turns", count),
        warm_up=WarmUp(
            warm_up.whole("calls"), warm_up.number("seconds"), is_stable=warm_up.boolean("stable")
        ),
        window_ns=fields.whole("window_ns"),
        images_per_call=fields.whole("images_per_call", low=1),
        threads=fields.whole("threads", low=1),
        workers=fields.whole("workers", low=1),
        offered_per_second=fields.number_or_null("offered_per_second"),
        stages_ns={name: stages.wholes(name, count) for name in stages.names()},
    )


def _figure(fields: Fields) -> Figure:
    if fields.has("refused"):
        return Refused(fields.text("refused"))
    numbers = [fields.number(key) for key in ("value", "low", "high", "confidence")]
    if not np.all(np.diff([numbers[1], numbers[0], numbers[2]]) >= 0):
        raise ValueError(f"{fields.place('value')} lies outside of its interval")
    return Estimate(*numbers)


def _ratio(fields: Fields) -> MeasuredRatio:
    return MeasuredRatio(
        fields.text("of"), fields.text("to"), fields.text("what"), _figure(fields.block("estimate"))
    )


def _contender(fields: Fields) -> Contender:
    found = Contender(
        subject=fields.text("subject"),
        ran=fields.boolean("ran"),
        why_not=fields.text_or_null("why_not"),
        version=fields.text_or_null("version"),
        labels_compared=fields.whole("labels_compared"),
        labels_equal=fields.whole("labels_equal"),
    )
    if found.labels_equal > found.labels_compared:
        compared = counted(found.labels_compared, "label")
        raise ValueError(f"{fields.place('labels_equal')} is more than the {compared} compared")
    return found
