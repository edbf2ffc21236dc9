"""Checks sidecars against their schema, their images, their CSV twins and one another."""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from edge.files.safe_open import open_regular, read_bounded
from edge.image_folders.names import READ_SUFFIXES
from edge.results.reading import csv_twin
from edge.results.reading.cell_file import (
    LARGEST_BYTES,
    SUFFIX,
    has_name_of_sidecar,
    read_cell,
)
from edge.results.reading.fields import Fields
from edge.results.reading.problem import (
    ForeignError,
    OnProblem,
    Problem,
    ProblemCode,
    SidecarError,
)
from edge.results.reading.tree import Listing, Tally, require_folder, walk
from edge.sidecar import FORMATS, sidecar_path

_Parts: TypeAlias = tuple[str, ...]
_OUR_SUFFIXES: Final = tuple(f".{format_}" for format_ in FORMATS)


@dataclass(slots=True)
class Verified:
    """What was checked, and what was found.

    Attributes:
        sidecars: entries of the sidecars' tree.
        images: image files, by their suffix or because a sidecar is of them.
        unchanged: images whose bytes are those that were labelled.
        csv: CSV sidecars that agree with their JSON sidecars.
        problems: counts by code.
    """

    sidecars: Tally = field(default_factory=Tally)
    images: int = 0
    unchanged: int = 0
    csv: int = 0
    problems: Counter[ProblemCode] = field(default_factory=Counter)


@dataclass(slots=True)
class _Expected:
    """What a sidecar says of its image; `sha256` is None if there is nothing to compare."""

    path: Path
    sha256: str | None
    has_image: bool = False


def verify(
    path: Path,
    images: Path | None,
    on_problem: OnProblem,
    on_count: Callable[[int], None] = lambda _: None,
) -> Verified:
    """Check all sidecars below a folder.

    Args:
        path: the folder of the sidecars.
        images: the folder of the images that `path` mirrors. None: the images are in `path`; if
            there are none, they are not checked.
        on_problem: called once for each file with a problem.
        on_count: called with the number of files that are checked.

    Raises:
        ConfigError: there is no such folder.
        StorageError: a folder cannot be read.
    """
    for folder in (path, images or path):
        require_folder(folder)
    check = _Check(on_problem, on_count)
    check.read_sidecars(path)
    if images is None:
        # A folder that cannot be read has been told of already.
        check.read_images(path, lambda _problem: None)
    else:
        check.read_images(images, check.tell)
    # Without any image this is a results folder, whose images were not named.
    if images is not None or check.verified.images:
        check.tell_of_missing_images()
    return check.verified


class _Check:
    def __init__(self, on_problem: OnProblem, on_count: Callable[[int], None]) -> None:
        self.verified = Verified()
        self._on_problem, self._on_count = on_problem, on_count
        self._checked = 0
        self._expected: dict[tuple[_Parts, str], _Expected] = {}
        self._first_of: dict[str, Path] = {}

    def read_sidecars(self, path: Path) -> None:
        tally = self.verified.sidecars
        for listing in walk(path, self.tell, tally):
            twins: dict[str, Fields | None] = {}
            for name in listing.files:
                if name.endswith(SUFFIX):
                    twins[csv_twin.twin_key(name)] = self._read_sidecar(listing, name)
                else:
                    tally.others += 1
            for name in listing.files:
                if name.endswith(csv_twin.SUFFIX):
                    self._compare_twin(listing, name, twins)

    def read_images(self, path: Path, on_problem: OnProblem) -> None:
        for listing in walk(path, on_problem, Tally()):
            for name in listing.files:
                if not name.endswith(_OUR_SUFFIXES):
                    self._check_image(listing, name)

    def tell_of_missing_images(self) -> None:
        for expected in self._expected.values():
            if not expected.has_image:
                self._problem(expected.path, ProblemCode.IMAGE_GONE, "its image is gone")

    def _read_sidecar(self, listing: Listing, name: str) -> Fields | None:
        """The fields of a usable sidecar; None for other JSON files."""
        tally, path = self.verified.sidecars, listing.opened.path / name
        expected, fields = _Expected(path, None), None
        self._count()
        try:
            cell, fields = read_cell(listing, name)
        except SidecarError as error:
            tally.problems += 1
            self._problem(path, error.code, str(error))
            # One problem is enough of a file that is copied, or of another version.
            expected.has_image = True
        except ForeignError:
            tally.foreign += 1
            if not has_name_of_sidecar(name):
                return None
            text = "a file of another program has the name of a sidecar"
            self._problem(path, ProblemCode.FOREIGN, text)
            expected.has_image = True
        except OSError:
            tally.gone += 1
            return None
        else:
            tally.cells += 1
            expected.sha256 = cell.sha256
            self._compare_with_others(path, cell.sha256)
        self._expected[listing.parts, name] = expected
        return fields

    def _compare_with_others(self, path: Path, sha256: str | None) -> None:
        if sha256 is not None and (first := self._first_of.setdefault(sha256, path)) != path:
            text = f"of the same image bytes as {first}"
            self._problem(path, ProblemCode.DOUBLED, text)

    def _compare_twin(self, listing: Listing, name: str, twins: dict[str, Fields | None]) -> None:
        path, key = listing.opened.path / name, csv_twin.twin_key(name)
        try:
            content = read_bounded(name, LARGEST_BYTES, dir_fd=listing.opened.descriptor)
        except OSError as error:
            if error.errno != errno.ENOENT and key in twins:
                text = f"the CSV sidecar cannot be read ({error.strerror})"
                self._problem(path, ProblemCode.CSV_DIFFERS, text)
            return
        fields = twins.get(key)
        if fields is not None:
            if text := csv_twin.difference(content, fields) or "":
                text = f"the CSV sidecar differs from the JSON sidecar: {text}"
                self._problem(path, ProblemCode.CSV_DIFFERS, text)
            else:
                self.verified.csv += 1
        elif key not in twins and csv_twin.is_ours(content):
            text = "a CSV sidecar without its JSON sidecar"
            self._problem(path, ProblemCode.CSV_ALONE, text)

    def _check_image(self, listing: Listing, name: str) -> None:
        path = listing.opened.path / name
        sidecar = sidecar_path(Path(name), "json").name
        expected = self._expected.get((listing.parts, sidecar))
        is_image = os.path.splitext(name)[1].lower() in READ_SUFFIXES  # noqa: PTH122 - no path of it
        if expected is None and not is_image:
            return
        self.verified.images += 1
        self._count()
        if expected is None:
            self._problem(path, ProblemCode.NO_SIDECAR, "an image without a sidecar")
            return
        expected.has_image = True
        if expected.sha256 is None:
            return
        try:
            sha256 = _sha256_of(listing, name)
        except OSError as error:
            text = f"the image cannot be read ({error.strerror})"
            self._problem(path, ProblemCode.IMAGE_UNREADABLE, text)
            return
        if sha256 == expected.sha256:
            self.verified.unchanged += 1
        else:
            text = "the image has other bytes than those that were labelled"
            self._problem(path, ProblemCode.IMAGE_CHANGED, text)

    def _count(self) -> None:
        self._checked += 1
        self._on_count(self._checked)

    def _problem(self, path: Path, code: ProblemCode, text: str) -> None:
        self.tell(Problem(path, code, text))

    def tell(self, problem: Problem) -> None:
        self.verified.problems[problem.code] += 1
        self._on_problem(problem)


def _sha256_of(listing: Listing, name: str) -> str:
    descriptor = open_regular(name, dir_fd=listing.opened.descriptor)
    with os.fdopen(descriptor, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
