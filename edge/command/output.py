"""Standard output whose disk may be full."""

from __future__ import annotations

from typing import Any, TextIO, cast

from edge.errors import StorageError


def checked(stream: TextIO) -> TextIO:
    """The stream, with StorageError in place of the system's errors.

    A full disk is told as what it is, also where a command takes the system's errors for those of
    the file that it reads. BrokenPipeError stays: a reader such as `head` has enough.
    """
    return cast("TextIO", _Checked(stream))


class _Checked:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _refused(error) from error

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _refused(error) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _refused(error: OSError) -> StorageError:
    return StorageError(
        f"standard output cannot be written ({error.strerror}), so that what it has is cut off. "
        "Make space, or send it elsewhere."
    )
