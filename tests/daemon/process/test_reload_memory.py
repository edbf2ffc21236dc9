"""What a reload opened is given back; tests.campaigns.reloads measures the memory of 200."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from daemon import service_process as lifecycle
from daemon.config.config import Config
from daemon.health.metrics import Metrics
from daemon.journal.journal import Journal
from daemon.model.current_model import CurrentModel
from daemon.operator.check_config import check_config
from daemon.service import Service
from daemon.startup import opened_service
from edge.backends.onnx import OnnxSession
from tests.daemon.process.living import living
from tests.support.images import Jpeg
from tests.support.site import ROOT, Site
from tests.support.waiting import until

RELOADS = 4
# Threads that are alive at once, each with memory of its own; how many arenas that made.
COUNT_ARENAS = """
import ctypes, re, sys, threading
from daemon.system.memory import use_one_arena
if sys.argv[1] == "one": use_one_arena()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.fopen.restype = ctypes.c_void_p
barrier = threading.Barrier(8)
def work():
    libc.malloc(1000)
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


class Born:
    """Weak references to the objects of some classes, from the moment they are made."""

    def __init__(self, patch: pytest.MonkeyPatch, *classes: type) -> None:
        self._references: list[weakref.ref[Any]] = []
        for class_ in classes:
            self._record(patch, class_)

    def _record(self, patch: pytest.MonkeyPatch, class_: type) -> None:
        init: Callable[..., None] = class_.__init__  # type: ignore[misc]

        def record(one: Any, *arguments: Any, **options: Any) -> None:
            self._references.append(weakref.ref(one))
            init(one, *arguments, **options)

        patch.setattr(class_, "__init__", record)

    def count(self) -> int:
        return len(self._references)

    def alive(self) -> list[str]:
        found = (reference() for reference in self._references)
        return sorted(type(one).__name__ for one in found if one is not None)


@contextmanager
def no_collection() -> Iterator[None]:
    """Without the collector, which would come to the aid of a cycle late or never."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def is_another(life: lifecycle.ServiceProcess, before: Service | None) -> bool:
    return life.service not in (None, before)


@pytest.fixture
def born(monkeypatch: pytest.MonkeyPatch) -> Born:
    return Born(monkeypatch, Service, CurrentModel, OnnxSession, Journal, Metrics)


def test_nothing_of_a_service_is_left_after_reloads(
    site: Site, colour_jpeg: Jpeg, born: Born
) -> None:
    site.settings["precision"] = "int8"
    with no_collection(), living(site) as life:
        for number in range(RELOADS):
            before = life.service
            if number:
                life.reload()
            until(partial(is_another, life, before))
            site.add(f"S1/A/{number}.jpg", colour_jpeg("red"))
            until(partial(site.has_sidecar, f"S1/A/{number}.jpg"))
        del before
        one_of_each = ["CurrentModel", "Journal", "Metrics", "OnnxSession", "Service"]
        until(lambda: born.alive() == one_of_each)
        # Each reload opened the model twice, to check it and to label.
        assert born.count() >= 5 * RELOADS + RELOADS - 1
    until(lambda: born.alive() == [])


def test_freed_memory_goes_back_after_each_check_and_before_each_service(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(lifecycle, "trim_heap", lambda: steps.append("given back"))

    def checks(config: Config) -> list[str]:
        steps.append("checked")
        return check_config(config)

    monkeypatch.setattr("daemon.operator.check_config.check_config", checks)

    @contextmanager
    def opens(*arguments: Any, **options: Any) -> Iterator[Service]:
        with opened_service(*arguments, **options) as service:
            steps.append("opened")
            yield service

    monkeypatch.setattr(lifecycle, "opened_service", opens)
    with living(site) as life:
        until(lambda: life.service is not None and len(steps) == 2)
        life.reload()
        until(lambda: len(steps) == 6)
    assert steps == ["opened", "given back", "checked", "given back", "opened", "given back"]


def test_threads_share_one_arena_that_can_be_given_back(tmp_path: Path) -> None:
    arenas = {}
    for how in ("one", "default"):
        path = tmp_path / how
        command = [sys.executable, "-c", COUNT_ARENAS, how, str(path)]
        subprocess.run(command, check=True, cwd=ROOT)
        arenas[how] = path.read_text().count("<heap nr=")
    if arenas["default"] == 1:
        pytest.skip("this C library has one arena for all threads anyway")
    assert arenas["one"] == 1
