"""A first look into a watch folder, for `check-config`: some images, and what is left out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import Final

from daemon.config.config import WatchConfig
from daemon.image.passed_over import PassedOver, PassedOverCount, Reason
from daemon.intake.walk import image_files
from edge.image_folders.names import UNREAD_SUFFIXES

# Limits, as an export may hold millions of images, and a share may list a hundred names a second.
_MAX_IMAGES: Final = 1000
_MAX_PASSED_OVER: Final = 20_000
_MAX_S: Final = 5.0


class _LimitReachedError(Exception):
    """A limit of the preview was reached."""


@dataclass(frozen=True, slots=True)
class FolderPreview:
    """Paths of some images, and what was left out; `is_whole`: the whole folder was looked at."""

    images: list[bytes]
    passed_over: PassedOver
    is_whole: bool

    def lines(self, watch: WatchConfig) -> Iterator[str]:
        """Lines for people about the patterns and the names in the folder."""
        for pattern in watch.patterns:
            if PurePath(pattern.lower().rstrip("*?")).suffix in UNREAD_SUFFIXES:
                yield (
                    f"WARNING: {pattern} names files that are neither JPEG nor PNG; each of them "
                    "is rejected as unsupported_format. Export JPEG or PNG"
                )
        if watch.exclude:
            yield f"without {', '.join(watch.exclude)}"
        if text := self.passed_over.text():
            yield f"left out{'' if self.is_whole else ', at a first look'}: {text}"
        if remedy := self.passed_over.remedy():
            yield f"WARNING: files that look like images are left out: {remedy}"


def preview_folder(watch: WatchConfig) -> FolderPreview:
    """Look into a watch folder, for a few seconds at most."""
    watch_folder = watch.watch_folder(0, watch.folder)
    images: list[bytes] = []
    count = PassedOverCount()
    end_s = time.monotonic() + _MAX_S

    def look_at_time(_folder: bytes) -> None:
        if time.monotonic() > end_s:
            raise _LimitReachedError

    def pass_over(reason: Reason, name: bytes) -> None:
        count.add(reason, name)
        if count.reasons.total() >= _MAX_PASSED_OVER:
            raise _LimitReachedError

    try:
        files = image_files(watch_folder, lambda *_: None, b"", look_at_time, pass_over)
        images.extend(image.path for image in islice(files, _MAX_IMAGES))
    except _LimitReachedError:
        return FolderPreview(images, count.result(), is_whole=False)
    return FolderPreview(images, count.result(), is_whole=len(images) < _MAX_IMAGES)
