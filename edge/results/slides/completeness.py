"""Whether all cells of a slide are there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from edge.image_folders.names import READ_SUFFIXES, is_system_name
from edge.results.slides.slide import Slide
from edge.text.counted import counted
from edge.text.printable import printable_name
from edge.text.unicode_form import comparable

MARKER: Final = "slide.done"
QUIET_S: Final = 600.0
# After a result was issued, cells that come later are gathered so long before the next one.
LATE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Completeness:
    """What makes a slide complete. The first of these that says something decides.

    1. An operator's word.
    2. The number of images in a manifest.
    3. A marker file in the slide's folder.
    4. Quiet time: no new image for so long.

    Attributes:
        marker: name of the marker file; None if there are none.
        quiet_s: None if time alone never makes a slide complete.
    """

    marker: str | None = MARKER
    quiet_s: float | None = QUIET_S

    def waits_for(self, slide: Slide, now: datetime) -> str | None:
        """What a slide waits for, in one line without ids; None if it is complete.

        Without an operator's word, which the caller asks for first.
        """
        if slide.absent:
            images = counted(slide.absent, "image")
            return f"{images} that the manifest names: not there, or without a sidecar"
        expected = slide.expected()
        if expected is not None:
            there = slide.different()
            if there >= expected:
                return None
            copies = ", copies not counted" if there < len(slide.images) else ""
            return f"more images: {there} of {expected} are there{copies}"
        if unlabelled := _unlabelled(slide):
            return f"{counted(unlabelled, 'image')} in its folder without a sidecar"
        if self.marker is not None and _has_marker(slide.folders, self.marker):
            return None
        return self._waits_for_time(slide, now)

    def _waits_for_time(self, slide: Slide, now: datetime) -> str | None:
        marker = [f"the file {self.marker}"] if self.marker is not None else []
        quiet = []
        if self.quiet_s is not None:
            age = now - slide.newest()
            if age >= timedelta(seconds=self.quiet_s):
                return None
            seconds = max(0, int(age.total_seconds()))
            quiet = [f"{self.quiet_s:g} s without a new image ({seconds} s now)"]
        return " or ".join([*marker, *quiet, "an operator's word"])


def waits_for_more_late_cells(slide: Slide, now: datetime) -> bool:
    """Whether cells that came after a result was issued may have followers.

    Without this wait each late cell would make a correction of its own.
    """
    return now - slide.newest() < timedelta(seconds=LATE_S)


def _unlabelled(slide: Slide) -> int:
    """Images in the slide's folders that the service has not labelled yet."""
    count = 0
    for top in slide.image_folders:
        # Images may be deleted once they are labelled: a folder that is gone holds none.
        for folder, folders, names in os.walk(top):
            known = {comparable(name) for name in slide.files.get(Path(folder), ())}
            count += sum(_is_image(name) and _name(name) not in known for name in names)
            folders[:] = [name for name in folders if slide.is_alone and not _is_hidden(name)]
    return count


def _is_image(name: str) -> bool:
    return not _is_hidden(name) and Path(name).suffix.lower() in READ_SUFFIXES


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or is_system_name(name)


def _name(name: str) -> str:
    """A file's name in the form in which a sidecar has it, for comparing."""
    return comparable(printable_name(Path(name)))


def _has_marker(folders: frozenset[Path], marker: str) -> bool:
    try:
        return any((folder / marker).is_file() for folder in folders)
    except OSError:
        return False
