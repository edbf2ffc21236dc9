"""Counts the files and folders below a watch folder that are left out, by reason.

Each whole scan counts them from the names that it lists anyway. The counts hold no names, and only
suffixes that are in common use.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from edge.image_folders.names import READ_SUFFIXES, UNREAD_SUFFIXES
from edge.text.unicode_form import comparable


class Reason(StrEnum):
    """Why a file or folder is left out; a folder counts as one, whatever is in it."""

    OTHER_NAME = "other_name"
    EXCLUDED = "excluded"
    SYSTEM = "system"
    HIDDEN = "hidden"
    LINK = "link"
    SIDECAR = "sidecar"


_TEXTS: Final = {
    Reason.OTHER_NAME: "of other names",
    Reason.EXCLUDED: "excluded",
    Reason.SYSTEM: "of the system",
    Reason.HIDDEN: "hidden",
    Reason.LINK: "linked",
}
_OTHERS: Final = frozenset(
    {".zip", ".7z", ".rar", ".tar", ".gz", ".pdf", ".txt", ".xml", ".csv", ".json", ".html", ".doc"}
    | {".docx", ".xls", ".xlsx", ".ini", ".log", ".db", ".dat", ".bin", ".bak", ".old", ".md5"}
    | {".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".lock", ".lnk"}
)
_NAMED: Final = READ_SUFFIXES | UNREAD_SUFFIXES | _OTHERS
NO_SUFFIX: Final = "no suffix"
_ANOTHER_SUFFIX: Final = "another suffix"
_TRAILING: Final = " and a blank or dot"
_BLANKS_OR_DOTS: Final = re.compile(r"[ .]+\Z")
_SHOWN_SUFFIXES: Final = 5


@dataclass(frozen=True, slots=True)
class PassedOver:
    """What one whole scan left out: counts by reason, and of other names by suffix.

    Both are as in health.json.
    """

    reasons: Mapping[str, int]
    suffixes: Mapping[str, int]

    @property
    def images(self) -> tuple[str, ...]:
        """The suffixes of files that look like images, sorted."""
        known = READ_SUFFIXES | UNREAD_SUFFIXES
        return tuple(sorted(s for s in self.suffixes if s.removesuffix(_TRAILING) in known))

    def text(self) -> str:
        """For people, such as `41 of other names (.tif 38, .bmp 3), 2 hidden`; empty for nothing.

        Without sidecars, which are expected beside images.
        """
        parts = []
        for reason, text in _TEXTS.items():
            if count := self.reasons.get(reason, 0):
                shown = self._shown_suffixes() if reason is Reason.OTHER_NAME else ""
                parts.append(f"{count:,} {text}{shown}")
        return ", ".join(parts)

    def remedy(self) -> str:
        """What to do about files that look like images, in one line; empty: nothing."""
        unread = [suffix for suffix in self.images if suffix in UNREAD_SUFFIXES]
        read = [suffix for suffix in self.images if suffix in READ_SUFFIXES]
        texts = []
        if unread:
            texts.append(f"{', '.join(unread)} cannot be read: export JPEG or PNG")
        if read:
            texts.append(f"add *{', *'.join(read)} to watch[].pattern if these are cells")
        if len(unread) + len(read) < len(self.images):
            texts.append("rename files that have a blank or a dot after their suffix")
        return "; ".join(texts)

    def _shown_suffixes(self) -> str:
        most = list(self.suffixes.items())[:_SHOWN_SUFFIXES]
        return f" ({', '.join(f'{suffix} {n:,}' for suffix, n in most)})" if most else ""


@dataclass(slots=True)
class PassedOverCount:
    """Counts during one scan, in bounded memory."""

    reasons: Counter[str] = field(default_factory=Counter)
    suffixes: Counter[str] = field(default_factory=Counter)

    def add(self, reason: Reason, name: bytes) -> None:
        """Count one file or folder."""
        self.reasons[str(reason)] += 1
        if reason is Reason.OTHER_NAME:
            self.suffixes[suffix_of(name)] += 1

    def result(self) -> PassedOver:
        """The counts, the most frequent suffix first."""
        suffixes = sorted(self.suffixes.items(), key=lambda item: (-item[1], item[0]))
        return PassedOver(dict(self.reasons), dict(suffixes))


def suffix_of(name: bytes) -> str:
    """The suffix of a name if it is a common one, else `no suffix` or `another suffix`."""
    text = comparable(name).lower()
    stem = _BLANKS_OR_DOTS.sub("", text)
    _, dot, end = stem.rpartition(".")
    if not dot:
        return NO_SUFFIX
    if f".{end}" not in _NAMED:
        return _ANOTHER_SUFFIX
    return f".{end}{_TRAILING if stem != text else ''}"
