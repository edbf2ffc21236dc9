"""What is in the record of a site, for tests."""

from __future__ import annotations

from edge.results.review.record.entry import Entry
from edge.results.review.record.record import Record
from tests.support.review_site import ReviewSite


def entries(site: ReviewSite) -> list[Entry]:
    """All of them, in order."""
    with Record.open(site.state) as record:
        return list(record.all())


def decided(site: ReviewSite) -> dict[str, str | None]:
    """The label of each cell that somebody decided, by hash."""
    return {cell.sha256: cell.after for entry in entries(site) for cell in entry.cells}
