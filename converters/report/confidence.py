"""How far the confidence can be relied on, and what leaving cells to a person brings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from converters.int8.graphs import FP32, GRAPHS
from converters.report.accuracy import with_interval
from converters.report.drawings.curves import reliability, selective
from converters.report.figures.facts import Fields, default_graph
from converters.report.figures.numbers import Noted, number, percent, share_interval


@dataclass(frozen=True, slots=True)
class GraphRow:
    """One graph's temperature and calibration error; `after` is empty where none was fitted."""

    file: str
    temperature: Noted
    before: Noted
    after: Noted


@dataclass(frozen=True, slots=True)
class KeptRow:
    """The cells that are kept from a confidence on, and how many of them are right."""

    what: str
    limit: str
    kept: Noted
    right: Noted


@dataclass(frozen=True, slots=True)
class Confidence:
    """The section.

    Attributes:
        graph: the one that is shown in full.
        is_fitted: it has a temperature.
        has_temperature: any graph has one.
        doubts: a line for each label whose confidence is not right.
    """

    graph: str
    is_fitted: bool
    has_temperature: bool
    rows: tuple[GraphRow, ...]
    doubts: tuple[str, ...]
    reliability: Markup
    selective: Markup
    kept: tuple[KeptRow, ...]


def confidence(evidence: Fields) -> Confidence | None:
    """The confidence of the graph that is shown in full; None without labels or in old evidence."""
    file, found = _shown(evidence)
    if found is None:
        return None
    is_fitted, bins = found["not_fitted"] is None, found["bins"]
    return Confidence(
        graph=file,
        is_fitted=is_fitted,
        has_temperature=any(one["not_fitted"] is None for one in evidence["confidence"].values()),
        rows=tuple(_graph_row(file, fields) for file, fields in evidence["confidence"].items()),
        doubts=tuple(map(_doubt, found["doubts"])),
        reliability=reliability(bins["before"], bins["after"] if is_fitted else None),
        selective=selective(found["curve"], found["at_limit"]),
        kept=tuple(_kept_rows(found)),
    )


def overconfident(evidence: Fields) -> Iterator[str]:
    """A line for each label of the graph shown that is right less often than it claims."""
    _, found = _shown(evidence)
    yield from (_doubt(one) for one in (found["doubts"] if found else ()) if _is_too_sure(one))


def _is_too_sure(doubt: Fields) -> bool:
    return bool(doubt["right"]["rate"] < doubt["confidence"])


def _doubt(doubt: Fields) -> str:
    right = doubt["right"]
    return (
        f"The label {doubt['label']} is right {'less' if _is_too_sure(doubt) else 'more'} often "
        f"than its confidence says: {percent(doubt['confidence'])} sure, {percent(right['rate'])} "
        f"right ({right['count']} of {right['total']})."
    )


def _shown(evidence: Fields) -> tuple[str, Fields | None]:
    """The file of the graph that is shown in full, and its confidence."""
    name = default_graph(evidence) or FP32.target
    file = next((kind.path for kind in GRAPHS.values() if kind.target == name), "")
    return file, evidence.get("confidence", {}).get(file)


def _graph_row(file: str, found: Fields) -> GraphRow:
    error, reason = found["calibration_error"], found["not_fitted"]
    before, after = (Noted(percent(e["value"]), share_interval(e)) for e in error.values())
    return GraphRow(
        file=file,
        temperature=Noted(number(found["temperature"]), f"not fitted: {reason}" if reason else ""),
        before=before,
        after=Noted("") if reason else after,
    )


def _kept_rows(found: Fields) -> Iterator[KeptRow]:
    at_limit = found["at_limit"]
    yield _kept_row("Identified by the service (unidentified_below)", at_limit)
    for one in found["reached"]:
        what = f"The most cells of which {percent(one['accuracy'])} are right"
        if one["kept"]:
            yield _kept_row(what, one["kept"])
        else:
            yield KeptRow(what, "", Noted("not reached"), Noted(""))
    yield _kept_row("All", found["curve"][-1])


def _kept_row(what: str, kept: Fields) -> KeptRow:
    coverage = kept["coverage"]
    counts = f"{coverage['count']} of {coverage['total']}"
    return KeptRow(
        what=what,
        limit=number(kept["limit"]),
        kept=Noted(percent(coverage["rate"]), counts),
        right=with_interval(kept["right"]) if kept["right"]["total"] else Noted("no cells"),
    )
