"""Times as text, in RFC 3339 with an offset."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

# Of the forms that `datetime.fromisoformat` reads, RFC 3339 allows this one alone.
_FORM: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def rfc3339(moment: datetime, *, timespec: str = "auto") -> str:
    """A time with its offset; `moment_of` gives it back exactly.

    Args:
        timespec: the parts of a second, as of `datetime.isoformat`.

    Raises:
        ValueError: the time has no time zone.
    """
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    # RFC 3339 has no seconds in offsets, but some zones had them as late as 1970, which is the date
    # of files from a machine without a clock.
    return (moment.astimezone(UTC) if offset.seconds % 60 else moment).isoformat(timespec=timespec)


def moment_of(text: str) -> datetime:
    """The time that a text gives.

    Raises:
        ValueError: it is not in RFC 3339, has no offset, or does not exist, here or in UTC.
    """
    if not _FORM.fullmatch(text):
        raise ValueError(f"{text!r} is no time such as 2026-11-23T09:14:03+01:00")
    try:
        moment = datetime.fromisoformat(text.upper())
        moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} does not exist: {error}") from error
    return moment
