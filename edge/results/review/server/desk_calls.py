"""Calls of the desk and of other slow code, outside of the thread that answers requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Final, Self, TypeVar

from edge.results.review.server.desk_protocol import DeskLike

T = TypeVar("T")

# Images are read while the desk is at work.
_READERS: Final = 3
# Each comparison of a PIN takes 16 MiB and a core for 50 ms.
_COMPARERS: Final = 2


class DeskCalls:
    """An open desk with its thread, and threads for images and PINs; use it as a `with` block.

    Attributes:
        desk: opened. Call it through `in_desk`.
    """

    desk: DeskLike

    def __init__(self, opening: Callable[[], AbstractContextManager[DeskLike]]) -> None:
        """Nothing is open yet.

        Args:
            opening: what gives the desk; it is opened, used and closed in one thread.
        """
        self._opening = opening
        self._thread = ThreadPoolExecutor(1, "desk")
        self._readers = ThreadPoolExecutor(_READERS, "images")
        self._comparers = ThreadPoolExecutor(_COMPARERS, "pins")

    def __enter__(self) -> Self:
        try:
            self.desk = self._thread.submit(self._open).result()
        except BaseException:
            self._end_threads()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            # After every call that was begun.
            self._thread.submit(self._opened.__exit__, None, None, None).result()
        finally:
            self._end_threads()

    async def in_desk(self, call: Callable[[], T]) -> T:
        """The result of a call of the desk; one at a time, in order."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def beside(self, call: Callable[[], T]) -> T:
        """The result of a call that needs no order: of images, or of a differential."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, call)

    async def compared(self, call: Callable[[], T]) -> T:
        """The result of comparing a PIN."""
        return await asyncio.get_running_loop().run_in_executor(self._comparers, call)

    def _open(self) -> DeskLike:
        self._opened = self._opening()
        return self._opened.__enter__()

    def _end_threads(self) -> None:
        for pool in (self._readers, self._comparers, self._thread):
            pool.shutdown(cancel_futures=True)
