"""Tests for lines of a command that goes on without their reader: with real pipes."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout

from edge.command.lines import Lines
from edge.command.run import run_command


def show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def test_lines_that_nobody_reads_are_lost_and_counted_once_they_are_read() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as read, os.fdopen(writer, "w") as stream:
        os.set_blocking(writer, False)
        # So full that a page is not free.
        filled = 0
        try:
            while True:
                filled += os.write(writer, b"x" * 4096)
        except BlockingIOError:
            pass
        os.set_blocking(writer, True)
        with redirect_stdout(stream):
            lines = Lines(show)
            for number in range(3):
                lines(f"line {number}")
            while filled:
                filled -= len(read.read(filled))
            lines("line 3")
        assert read.read(99) == b"3 lines lost, as nobody read them\nline 3\n"


def test_command_whose_reader_has_gone_ends_with_what_it_has_found_out() -> None:
    def command() -> int:
        # In the buffer until the command has ended.
        sys.stdout.write("line\n")
        return 1

    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream, redirect_stdout(stream):
        assert run_command(command) == 1
