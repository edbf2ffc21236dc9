"""Reads the document of a measurement from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge.bench.reading.document import Document, parse_document
from edge.errors import ConfigError, first_line
from edge.files.strict_json import read_json
from edge.text.printable import printable, printable_name

# A series of a million samples with four stages takes 70 MB.
_LARGEST_BYTES: Final = 256 << 20
_ADVICE: Final = "Give a file that `edge-bench --json` wrote."


def read_document(path: Path) -> Document:
    """The measurement in a file.

    Raises:
        ConfigError: the file cannot be read, or it is no such document.
    """
    name = printable_name(path)
    try:
        value = read_json(path, largest_bytes=_LARGEST_BYTES, has_unique_keys=True)
        return parse_document(value)
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}. {_ADVICE}") from error
    except ValueError as error:
        why = printable(first_line(error))
        raise ConfigError(f"{name} is no measurement: {why}. {_ADVICE}") from error
