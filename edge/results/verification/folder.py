"""The folder of verifications: each is a file that never changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from pathlib import Path
from typing import Final, TypeAlias

from edge.errors import ConfigError
from edge.files.atomic import make_folder, storage_errors, write_file
from edge.files.safe_open import read_bounded
from edge.results.document.result import short_hash
from edge.results.verification.verification_file import (
    VerificationFile,
    verification_from_json,
    verification_to_json,
)

# Ten thousand cells take about 1.2 MB.
_LARGEST_BYTES: Final = 16 << 20
# As `write_verification` names files. Others may be there, written by hand.
_NAME: Final = re.compile(r"([0-9A-F]{20})-\d{8}T\d{12}Z-[0-9A-F]{8}\.json", re.ASCII)


# Of a file: name, size, times of its content and of its inode, inode. A program that sets the first
# time back cannot set the second.
Stamp: TypeAlias = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class UnusableVerification:
    """A file that is no verification; `reason` says why in one line.

    Attributes:
        slide_key: of its slide, as far as its name tells it.
    """

    path: Path
    reason: str
    slide_key: str | None = None


def write_verification(folder: Path, verification: VerificationFile) -> Path:
    """Write a verification durably; the same one again is the same file.

    Raises:
        ConfigError: it names no person or no cell, or has an unknown label.
        StorageError: the disk refuses.
    """
    try:
        content = verification_to_json(verification)
    except ValueError as error:
        raise ConfigError(f"the verification is not usable: {error}. Correct it.") from error
    make_folder(folder)
    path = folder / _name(verification, content)
    write_file(path, content)
    return path


@dataclass(frozen=True, slots=True)
class VerificationStamps:
    """What is in a folder of verifications, without reading it.

    Attributes:
        by_slide: of the files that `write_verification` named, by the slide's key.
        others: of files that a person named.
    """

    folder: Path | None = None
    by_slide: Mapping[str, frozenset[Stamp]] = field(default_factory=dict)
    others: frozenset[Stamp] = frozenset()

    def have_changed(self) -> bool:
        """Whether one of these files is another one now; new files are not looked for."""
        if self.folder is None:
            return False
        return any(
            _stamp(self.folder / stamp[0]) != stamp
            for stamps in (self.others, *self.by_slide.values())
            for stamp in stamps
        )


def verification_stamps(folder: Path, slide_keys: Container[str]) -> VerificationStamps:
    """What is in a folder of these slides; nothing if it is not there.

    Raises:
        StorageError: the folder cannot be read.
    """
    by_slide: dict[str, set[Stamp]] = {}
    others = set()
    for path in _files(folder):
        name = _NAME.fullmatch(path.name)
        if name is None:
            others.add(_stamp(path))
        elif name[1] in slide_keys:
            by_slide.setdefault(name[1], set()).add(_stamp(path))
    return VerificationStamps(
        folder, {key: frozenset(stamps) for key, stamps in by_slide.items()}, frozenset(others)
    )


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return path.name, 0, 0, 0, 0
    return path.name, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def read_verifications(
    folder: Path,
    slide_keys: Container[str],
    *,
    is_known: Callable[[str], bool] = lambda _slide_key: True,
) -> tuple[list[VerificationFile], list[UnusableVerification]]:
    """The verifications of some slides, and files that are none or that a person must look at.

    Of the files that `write_verification` wrote, only those of these slides are read: slides go,
    and their verifications stay. One that a person named and that is of no slide may have a
    mistyped id, so that it is told. A folder that is not there holds none.

    Args:
        slide_keys: of the slides that are wanted.
        is_known: whether there is, or was, a slide with this key.

    Raises:
        StorageError: the folder cannot be read.
    """
    found, unusable = [], []
    for path in _files(folder):
        name = _NAME.fullmatch(path.name)
        if name and name[1] not in slide_keys:
            continue
        key = name[1] if name else None
        verification = _read(path)
        if isinstance(verification, UnusableVerification):
            unusable.append(replace(verification, slide_key=key))
        elif name and key != verification.slide_key:
            unusable.append(UnusableVerification(path, "its name is that of another slide", key))
        elif verification.slide_key in slide_keys:
            found.append(verification)
        elif not is_known(verification.slide_key):
            unusable.append(UnusableVerification(path, "no slide here has its sample and slide id"))
    return found, unusable


def _name(verification: VerificationFile, content: bytes) -> str:
    at = verification.at.astimezone(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    return f"{verification.slide_key}-{at}-{short_hash(content.decode())[:8]}.json"


def _files(folder: Path) -> list[Path]:
    with storage_errors("read", folder):
        try:
            names = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".json")
        except FileNotFoundError:
            return []
    return [path for path in names if not path.name.startswith(".")]


def _read(path: Path) -> VerificationFile | UnusableVerification:
    try:
        return verification_from_json(read_bounded(path, _LARGEST_BYTES))
    except OSError as error:
        return UnusableVerification(path, f"it cannot be read: {error.strerror or error}")
    except ValueError as error:
        return UnusableVerification(path, f"it is no verification: {error}")
