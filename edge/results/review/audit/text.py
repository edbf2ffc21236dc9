"""The tables of the audit, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from edge.results.document.result import CELL_CLASSES
from edge.results.review.audit.agreement import Agreement, Pairs, Share
from edge.results.review.audit.readers import Readers
from edge.text.counted import counted
from edge.text.text_table import text_table

NOT_INDEPENDENT: Final = (
    "The person saw the model's label first: agreement is no independent accuracy, which may be "
    "lower. The intervals (95 %, Clopper-Pearson) take each cell for itself."
)
# Of a bundle's SHA-256; the bundle's manifest has all 64.
_DIGITS: Final = 12


def signer_lines(agreement: Agreement) -> Iterator[str]:
    """Who signed how much."""
    rows = [("signed by", "name", "signatures", "again", "cells", "corrected")]
    for one in sorted(agreement.signers.values(), key=lambda one: (-one.cells, one.person.id)):
        numbers = (one.signatures, one.again, one.cells, one.corrected)
        rows.append((one.person.id, one.person.name, *map(str, numbers)))  # type: ignore[arg-type]
    yield text_table(rows, right=(2, 3, 4, 5))
    if agreement.replaced:
        were = "signature was" if agreement.replaced == 1 else "signatures were"
        yield f"{agreement.replaced} {were} replaced by a later one; below, the last one counts."


def agreement_lines(agreement: Agreement) -> Iterator[str]:
    """Agreement per class, per week and per model."""
    yield f"Agreement of the model and the people on {_amount(agreement.all)}"
    yield NOT_INDEPENDENT
    yield ""
    yield from _classes(agreement.all)
    yield ""
    yield from _groups("week", agreement.weeks)
    yield ""
    models = {model[:_DIGITS]: pairs for model, pairs in agreement.models.items()}
    yield from _groups("model", models)


def reader_lines(readers: Readers) -> Iterator[str]:
    """Agreement of two readers."""
    yield (
        f"Agreement of the second reader with the first, each without sight of the other, on "
        f"{counted(readers.counts.total(), 'cell')} of {counted(readers.slides, 'slide')}"
    )
    rows = [("first reader", "cells", "second agreed", "", "95 %", "second gave instead")]
    for label, share, others in readers.classes():
        rows.append((label, str(share.total), str(share.count), *_shown(share), _list(others)))
    all_ = readers.agreed
    rows.append(("all", str(all_.total), str(all_.count), *_shown(all_), ""))
    yield text_table(rows, right=(1, 2, 3, 4))
    if readers.kappa is not None:
        yield f"Cohen's kappa {readers.kappa:.2f}"


def _classes(pairs: Pairs) -> Iterator[str]:
    rows = [("model said", "cells", "person agreed", "", "95 %", "became")]
    for one in pairs.classes():
        if one.agreed.total:
            agreed = (str(one.agreed.total), str(one.agreed.count), *_shown(one.agreed))
            rows.append((one.label, *agreed, _list(one.became)))
    if pairs.unidentified:
        became = pairs.unidentified
        rows.append(("unidentified", str(became.total()), "", "", "", _list(became)))
    yield text_table(rows, right=(1, 2, 3, 4))
    yield ""
    rows = [("person said", "cells", "model had agreed", "", "95 %", "the model had said")]
    for one in pairs.classes():
        if one.found.total:
            found = (str(one.found.total), str(one.found.count), *_shown(one.found))
            rows.append((one.label, *found, _list(one.came_from)))
    yield text_table(rows, right=(1, 2, 3, 4))


def _groups(name: str, groups: Mapping[str, Pairs]) -> Iterator[str]:
    """A line for each week or model: all cells, then each label that the model gave."""
    rows = [(name, "slides", "cells", "agreed", "", "95 %", "unidentified")]
    for key in sorted(groups):
        pairs = groups[key]
        agreed = (str(pairs.agreed.count), *_shown(pairs.agreed))
        unidentified = str(pairs.unidentified.total())
        rows.append((key, str(pairs.slides), str(pairs.cells), *agreed, unidentified))
    yield text_table(rows, right=(1, 2, 3, 4, 5, 6))
    yield ""
    table: list[tuple[str, ...]] = [(f"agreed, by {name}", *CELL_CLASSES)]
    for key in sorted(groups):
        shares = {one.label: one.agreed for one in groups[key].classes()}
        table.append((key, *(_of(shares.get(label)) for label in CELL_CLASSES)))
    yield text_table(table, right=range(1, len(CELL_CLASSES) + 1))


def _of(share: Share | None) -> str:
    if share is None or share.percent is None:
        return "-"
    return f"{share.percent:.0f} % of {share.total}"


def _amount(pairs: Pairs) -> str:
    return f"{counted(pairs.cells, 'cell')} of {counted(pairs.slides, 'slide')}"


def _shown(share: Share) -> tuple[str, str]:
    """Percent and interval."""
    if share.percent is None or share.limits is None:
        return "", ""
    low, high = share.limits
    return f"{share.percent:.1f} %", f"{low:.1f} to {high:.1f}"


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{label} {n}" for label, n in counts.most_common())
