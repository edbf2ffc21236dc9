"""What lies below a watch folder and is no image to be labelled: why, and how much of it.

Counted by each whole scan from the names that it lists anyhow. No name of a file goes into the
counts, nor any part of one: of suffixes only those that everybody has.
"""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from daemon.same_text import comparable


class Reason(StrEnum):
    """Why a file or folder is passed over; a folder counts as one, with all that it holds."""

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
# Folders and files in which file servers and computers keep copies, thumbnails and notes of
# their own; shell patterns, in any case. What begins with a dot is left out anyhow.
SYSTEM_NAMES: Final = (
    # Synology, QNAP, Asustor, NetApp, Buffalo, Netgear, Thecus
    *("@eaDir", "@tmp", "@sharebin", "@sharesnap", "@SynoDrive*", "@img_bkp_cache"),
    *("#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "@__thumb", "~snapshot"),
    *("trashbox", "Recycle Bin", "_NAS_Recycle_*"),
    # Windows and Samba
    *("$RECYCLE.BIN", "RECYCLER", "RECYCLED", "System Volume Information", "found.[0-9][0-9][0-9]"),
    *("@GMT-*", "Previous Versions", "DfsrPrivate", "Thumbs.db", "ehthumbs*.db", "desktop.ini"),
    "~$*",
    # macOS and Linux; netatalk 2 writes the dot of a hidden name as `:2e`
    *("__MACOSX", "Network Trash Folder", "Temporary Items", "TheVolumeSettingsFolder"),
    *("TheFindByContentFolder", ":2e*", "lost+found"),
    # GoodSync: the versions that it replaced
    "_gsdata_",
)
_PLAIN_NAMES: Final = frozenset(n.lower() for n in SYSTEM_NAMES if not set(n) & set("*?["))
_PATTERNS: Final = re.compile(
    "|".join(fnmatch.translate(n.lower()) for n in SYSTEM_NAMES if set(n) & set("*?["))
)
# Suffixes of JPEG and PNG files, which need no more than a pattern.
_READ: Final = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".png"})
# Of files that show an image in a form that is not read.
UNREAD: Final = frozenset(
    {".bmp", ".dib", ".tif", ".tiff", ".gif", ".webp", ".jp2", ".j2k", ".jpx", ".jxl", ".jxr"}
    | {".heic", ".heif", ".avif", ".dcm", ".dicom", ".psd", ".svg", ".raw", ".dng", ".ppm"}
    | {".svs", ".ndpi", ".scn", ".mrxs", ".czi", ".lif", ".vsi", ".bif"}
)
_OTHERS: Final = frozenset(
    {".zip", ".7z", ".rar", ".tar", ".gz", ".pdf", ".txt", ".xml", ".csv", ".json", ".html", ".doc"}
    | {".docx", ".xls", ".xlsx", ".ini", ".log", ".db", ".dat", ".bin", ".bak", ".old", ".md5"}
    | {".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".lock", ".lnk"}
)
_NAMED: Final = _READ | UNREAD | _OTHERS
NO_SUFFIX: Final = "no suffix"
_ANOTHER_SUFFIX: Final = "another suffix"
_TRAILING: Final = " and a blank or dot"
_NO_IMAGE_ENDING: Final = re.compile(r"[ .]+\Z")
_SHOWN_SUFFIXES: Final = 5


@dataclass(frozen=True, slots=True)
class PassedOver:
    """How much one whole scan passed over, by reason, and what is of other names by its suffix.

    Both are as health.json holds them.
    """

    reasons: Mapping[str, int]
    suffixes: Mapping[str, int]

    @property
    def images(self) -> tuple[str, ...]:
        """The suffixes of files that are images by their names, in order."""
        known = _READ | UNREAD
        return tuple(sorted(s for s in self.suffixes if s.removesuffix(_TRAILING) in known))

    def text(self) -> str:
        """For people, such as `41 of other names (.tif 38, .bmp 3), 2 hidden`; empty for nothing.

        Sidecars are what is expected beside images, and are not told.
        """
        parts = []
        for reason, text in _TEXTS.items():
            if count := self.reasons.get(reason, 0):
                shown = self._shown_suffixes() if reason is Reason.OTHER_NAME else ""
                parts.append(f"{count:,} {text}{shown}")
        return ", ".join(parts)

    def remedy(self) -> str:
        """What to do about files that are images by their names, in one line; empty: nothing."""
        unread = [suffix for suffix in self.images if suffix in UNREAD]
        read = [suffix for suffix in self.images if suffix in _READ]
        texts = []
        if unread:
            texts.append(f"{', '.join(unread)} cannot be read: export JPEG or PNG")
        if read:
            texts.append(f"add *{', *'.join(read)} to watch[].pattern if these are cells")
        if len(unread) + len(read) < len(self.images):
            texts.append("rename what ends in a blank or a dot after its suffix")
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
        """What was counted, the most frequent suffix first."""
        suffixes = sorted(self.suffixes.items(), key=lambda item: (-item[1], item[0]))
        return PassedOver(dict(self.reasons), dict(suffixes))


def is_system_name(text: str) -> bool:
    """Whether a name, as `comparable` gives it, is one of SYSTEM_NAMES. Asked of every file."""
    name = text.lower()
    return name in _PLAIN_NAMES or _PATTERNS.match(name) is not None


def suffix_of(name: bytes) -> str:
    """The suffix if it is a common one, and otherwise that it is none."""
    text = comparable(name).lower()
    stem = _NO_IMAGE_ENDING.sub("", text)
    _, dot, end = stem.rpartition(".")
    if not dot:
        return NO_SUFFIX
    if f".{end}" not in _NAMED:
        return _ANOTHER_SUFFIX
    return f".{end}{_TRAILING if stem != text else ''}"
