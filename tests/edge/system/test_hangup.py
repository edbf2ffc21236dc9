"""Tests for edge.system.hangup, with real signals to this process."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from edge.system.hangup import Hangup


def send_hangup() -> None:
    os.kill(os.getpid(), signal.SIGHUP)


def test_hangup_ends_a_wait_once() -> None:
    with Hangup() as hangup:
        later = threading.Timer(0.05, send_hangup)
        later.start()
        assert hangup.wait(30.0)
        later.join()
        assert not hangup.wait(0.0)


def test_hangup_between_two_waits_is_not_lost() -> None:
    with Hangup() as hangup:
        send_hangup()
        assert hangup.wait(30.0)
        assert not hangup.wait(0.0)


def test_hangup_that_another_thread_takes_ends_the_wait() -> None:
    with Hangup() as hangup:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        unblocked = threading.Event()
        ended = threading.Event()

        def take() -> None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
            unblocked.set()
            ended.wait(30.0)

        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        taker = threading.Thread(target=take)
        taker.start()
        unblocked.wait(30.0)
        try:
            send_hangup()
            assert hangup.wait(30.0)
        finally:
            ended.set()
            taker.join()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_interruption_ends_a_wait_as_before() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with Hangup() as hangup:
            later = threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGTERM))
            later.start()
            with pytest.raises(KeyboardInterrupt):
                hangup.wait(30.0)
            later.join()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_hangup_after_the_block_is_handled_as_before() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _frame: came.append(number))
    try:
        with Hangup():
            pass
        send_hangup()
        assert came == [signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, before)
