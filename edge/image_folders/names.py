"""Suffixes of image files, and names of files and folders that systems create beside them."""

from __future__ import annotations

import fnmatch
import re
from typing import Final

# Suffixes of JPEG and PNG files.
READ_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp", ".png"})
# Suffixes of image formats that are not read.
UNREAD_SUFFIXES: Final = frozenset(
    {".bmp", ".dib", ".tif", ".tiff", ".gif", ".webp", ".jp2", ".j2k", ".jpx", ".jxl", ".jxr"}
    | {".heic", ".heif", ".avif", ".dcm", ".dicom", ".psd", ".svg", ".raw", ".dng", ".ppm"}
    | {".svs", ".ndpi", ".scn", ".mrxs", ".czi", ".lif", ".vsi", ".bif"}
)
# Folders and files that servers and operating systems create for copies, thumbnails and settings:
# shell patterns, compared without case. Names that begin with a dot are skipped in any case.
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
    # GoodSync: old versions of files
    "_gsdata_",
)
_PLAIN_NAMES: Final = frozenset(n.lower() for n in SYSTEM_NAMES if not set(n) & set("*?["))
_PATTERNS: Final = re.compile(
    "|".join(fnmatch.translate(n.lower()) for n in SYSTEM_NAMES if set(n) & set("*?["))
)


def is_system_name(text: str) -> bool:
    """Whether a name is one of SYSTEM_NAMES, in any case of letters."""
    name = text.lower()
    return name in _PLAIN_NAMES or _PATTERNS.match(name) is not None
