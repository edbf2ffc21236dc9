"""The frames of MLLP: a message between 0x0B and 0x1C 0x0D."""

from __future__ import annotations

import socket
import time
from typing import Final

from edge.errors import TransientError

START: Final = b"\x0b"
END: Final = b"\x1c\r"
# An acknowledgement has a few hundred bytes, with error segments a few thousand.
LARGEST_ANSWER_BYTES: Final = 256 * 1024
_PIECE_BYTES: Final = 65536


class Deadline:
    """The end of a time span, for calls that each take a part of it."""

    __slots__ = ("_end_s", "_span_s")

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._end_s = time.monotonic() + span_s

    def left_s(self) -> float:
        """The seconds left.

        Raises:
            TransientError: none are.
        """
        left = self._end_s - time.monotonic()
        if left <= 0:
            raise TransientError(f"no answer within {self._span_s:g} s")
        return left


def framed(message: bytes) -> bytes:
    """The bytes of a message on the wire."""
    return START + message + END


class FrameReader:
    """Takes frames from a connection, however their bytes were split on the way."""

    __slots__ = ("_buffer", "_connection")

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()

    @property
    def has_more(self) -> bool:
        """Whether bytes beyond the last frame have arrived, other than line breaks."""
        return bool(self._buffer.strip(b"\r\n"))

    def arrives(self, span_s: float) -> bool:
        """Whether there is something to `read` without waiting within a time, which may be 0.

        Raises:
            TransientError: the receiver closed the connection.
            OSError: the connection failed.
        """
        end_s = time.monotonic() + span_s
        while END not in self._buffer and len(self._buffer) <= LARGEST_ANSWER_BYTES:
            self._connection.settimeout(max(0.0, end_s - time.monotonic()))
            try:
                piece = self._connection.recv(_PIECE_BYTES)
            except (BlockingIOError, TimeoutError):
                return False
            if not piece:
                raise TransientError("the receiver closed the connection")
            self._buffer += piece
        return True

    def read(self, deadline: Deadline) -> bytes:
        """The next frame's content.

        Raises:
            TransientError: it is not whole in time, too large, or no frame.
            OSError: the connection failed.
        """
        while (end := self._buffer.find(END)) < 0:
            if len(self._buffer) > LARGEST_ANSWER_BYTES:
                raise TransientError(
                    f"the answer has more than {LARGEST_ANSWER_BYTES >> 10} KiB without an end"
                )
            self._connection.settimeout(deadline.left_s())
            piece = self._connection.recv(_PIECE_BYTES)
            if not piece:
                raise TransientError("the receiver closed the connection before its answer")
            self._buffer += piece
        frame = bytes(self._buffer[:end])
        del self._buffer[: end + len(END)]
        # Between frames some receivers send line breaks.
        frame = frame.lstrip(b"\r\n")
        # A second start: the first frame has no end, and may be of another message.
        if frame[:1] != START or START in frame[1:]:
            raise TransientError("the answer is no MLLP frame")
        return frame[1:]
