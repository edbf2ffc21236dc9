"""Tests for daemon.intake.hints: the queue gives every hint or says that one was lost."""

from __future__ import annotations

from daemon.intake.hints import MAX_HINTS, Hint, HintKind, Hints


def hint(number: int) -> Hint:
    return Hint(1, b"%d.jpg" % number, HintKind.CREATED)


def test_hint_that_comes_during_a_turn_of_the_most_hints_is_given_in_the_next() -> None:
    hints = Hints()
    for number in range(MAX_HINTS):
        hints.put(hint(number))
    taken: list[Hint] = []
    for one in hints.take(0.0):
        if not taken:
            hints.put(hint(MAX_HINTS))
        taken.append(one)
    assert len(taken) == MAX_HINTS
    assert list(hints.take(0.0)) == [hint(MAX_HINTS)]
    assert not hints.take_loss()


def test_hint_beyond_the_most_is_a_loss_that_is_told_once() -> None:
    hints = Hints()
    for number in range(MAX_HINTS + 1):
        hints.put(hint(number))
    assert len(list(hints.take(0.0))) == MAX_HINTS
    assert (hints.take_loss(), hints.take_loss()) == (True, False)


def test_wake_ends_a_turn_without_a_hint() -> None:
    hints = Hints()
    hints.wake()
    hints.put(hint(1))
    assert list(hints.take(0.0)) == [hint(1)]
    assert list(hints.take(0.0)) == []
