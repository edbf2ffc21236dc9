"""What `edge-results audit` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.results.review.audit.agreement import Agreement
from edge.results.review.audit.export import Exported
from edge.results.review.audit.json_form import agreement_json, readers_json
from edge.results.review.audit.readers import Readers
from edge.results.review.audit.text import agreement_lines, reader_lines, signer_lines
from edge.results.review.record.anchor import Anchor
from edge.results.review.record.entry import NO_HASH
from edge.text.counted import counted


@dataclass(slots=True)
class Findings:
    """All that an audit found.

    Attributes:
        problems: of the record, at most so many as are printed.
        more_problems: further ones.
        unwritten: signatures whose verification file is not known to be written.
        agreement: None if the record cannot be read; `readers` likewise.
        exported: None if nothing was asked for.
    """

    anchors: Sequence[Anchor] = ()
    problems: list[str] = field(default_factory=list)
    more_problems: int = 0
    head: tuple[int, str] = (0, NO_HASH)
    unwritten: int = 0
    agreement: Agreement | None = None
    readers: Readers | None = None
    exported: Exported | None = None


def audit_lines(found: Findings) -> Iterator[str]:
    """For people."""
    yield from _chain(found)
    if found.agreement and found.agreement.signers:
        yield ""
        yield from signer_lines(found.agreement)
        if found.agreement.all.slides:
            yield ""
            yield from agreement_lines(found.agreement)
    else:
        yield "no signature in this time"
    if found.readers and found.readers.slides:
        yield ""
        yield from reader_lines(found.readers)
    if found.exported:
        yield ""
        yield from _exported(found.exported)
    number, hash_ = found.head
    if not found.problems:
        yield ""
        yield f"head {number}:{hash_}"
        yield (
            "Write it down, or let another machine keep it: --anchor shows later whether the "
            "record up to here is still the same."
        )


def audit_json(found: Findings) -> dict[str, Any]:
    """For programs."""
    number, hash_ = found.head
    exported = found.exported
    return {
        "schema": "edge-audit/1",
        "entries": number,
        "head": {"number": number, "hash": hash_},
        "problems": found.problems,
        "more_problems": found.more_problems,
        "signatures_without_file": found.unwritten,
        **(agreement_json(found.agreement) if found.agreement else {}),
        "readers": readers_json(found.readers) if found.readers else None,
        "export": {
            "labels": dict(exported.labels),
            "not_counted": exported.not_counted,
            "left_out": dict(exported.problems),
        }
        if exported
        else None,
    }


def _chain(found: Findings) -> Iterator[str]:
    number = found.head[0]
    for problem in found.problems:
        yield f"PROBLEM {problem}"
    if found.more_problems:
        yield f"and {counted(found.more_problems, 'more problem')}"
    if not found.problems:
        yield f"record: {_entries(number)}, each as it was recorded"
        for anchor in found.anchors:
            since = _entries(number - anchor.number)
            yield f"anchor {anchor.number}:{anchor.digits[:12]} fits; {since} since"
    else:
        yield (
            "The record is not as it was recorded. Keep the file as it is, and compare it with a "
            "backup."
        )
    if found.unwritten:
        yield (
            f"{counted(found.unwritten, 'signature')} without a verification file yet; "
            "edge-results review writes what is missing at its start"
        )


def _entries(number: int) -> str:
    return f"{number:,} {'entry' if number == 1 else 'entries'}"


def _exported(exported: Exported) -> Iterator[str]:
    total = exported.labels.total()
    labels = ", ".join(f"{label} {n}" for label, n in sorted(exported.labels.items()))
    yield f"exported {counted(total, 'image')}" + (f": {labels}" if labels else "")
    if exported.not_counted:
        cells = counted(exported.not_counted, "cell")
        yield f"left out {cells} signed as artefact or other; --all-labels exports them, too"
    for text, count in sorted(exported.problems.items()):
        yield f"left out {counted(count, 'cell')}: {text}"
