from __future__ import annotations

import io

from edge.command.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_of_quick_step_prints_nothing() -> None:
    stream = io.StringIO()
    with Progress("labelled", stream, clock=Clock()) as progress:
        progress.update(5, 5)
    assert stream.getvalue() == ""


def test_progress_in_a_log_prints_whole_lines_now_and_then() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress("labelled", stream, clock=clock) as progress:
        for second in range(13):
            clock.now_s = float(second)
            progress.update(second * 10, 200)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "labelled: 10 of 200, 10/s, 19 s left"
    assert lines[-1].startswith("labelled: 120 of 200")
    assert len(lines) == 4


def test_progress_of_seconds_has_no_rate() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress("measuring, seconds", stream, is_time=True, clock=clock) as progress:
        for second in range(3):
            clock.now_s = float(second)
            progress.update(second, 45)
    assert stream.getvalue().splitlines()[-1] == "measuring, seconds: 2 of 45"


def test_progress_takes_no_rate_from_what_came_before_the_first_item() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress("labelled", stream, clock=clock) as progress:
        for done, now_s in ((1, 20.0), (2, 20.5), (11, 25.0), (20, 29.5)):
            clock.now_s = now_s
            progress.update(done, 101)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "labelled: 1 of 101"
    assert lines[1] == "labelled: 11 of 101, 2/s, 45 s left"


def test_progress_that_begins_again_has_a_rate_of_its_own() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress("labelled", stream, clock=clock) as progress:
        for done, now_s in ((0, 0.0), (10, 10.0), (0, 60.0), (10, 65.0)):
            clock.now_s = now_s
            progress.update(done, 20)
    assert stream.getvalue().splitlines()[-1] == "labelled: 10 of 20, 2/s, 5 s left"


def test_progress_of_a_name_shows_control_characters_as_escapes() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress("opening m\x1b[2J.pt", stream, clock=clock) as progress:
        clock.now_s = 2.0
        progress.update(1, 1)
    assert stream.getvalue() == "opening m\\x1b[2J.pt: 1 of 1\n"


def test_progress_on_a_terminal_rewrites_one_line() -> None:
    stream, clock = Terminal(), Clock()
    with Progress("labelled", stream, clock=clock) as progress:
        for second in range(4):
            clock.now_s = float(second)
            progress.update(second)
    assert stream.getvalue().count("\r") == 3
    assert stream.getvalue().count("\n") == 1


def test_progress_wider_than_the_terminal_does_not_wrap() -> None:
    stream, clock = Terminal(), Clock()
    with Progress("labelled", stream, clock=clock) as progress:
        clock.now_s = 2.0
        progress.update(1, 3)
    # DEC's sequences: automatic wrapping off, the text, and on again for whoever writes next.
    assert stream.getvalue() == "\r\x1b[K\x1b[?7llabelled: 1 of 3\x1b[?7h\n"
