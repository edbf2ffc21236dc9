"""Fixtures of the service: a small site, a machine to install into, a GPU that is none."""

from __future__ import annotations

import ctypes
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.system.notifier import Notifier
from tests.support import fake_gpu
from tests.support.engine_bundle import add_tensorrt_graphs
from tests.support.fake_gpu import FakeGpu
from tests.support.machine.install_image import make_image
from tests.support.site import Site, make_site


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root folder of another system, to install into."""
    return make_image(tmp_path / "machine")


@pytest.fixture
def site(tmp_path: Path, small_bundle: Path) -> Site:
    return make_site(tmp_path, small_bundle)


@pytest.fixture
def silent_notifier() -> Notifier:
    """Tells nobody."""
    return Notifier({})


# capabilities(7): the two that let the superuser read every file.
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1 << 1, 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522


@pytest.fixture
def _no_superuser() -> Iterator[None]:
    """This thread, and those that it starts, obey file permissions even for the superuser."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    before, now = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0
    assert libc.capget(header, now) == 0
    now[0] &= ~(_DAC_OVERRIDE | _DAC_READ_SEARCH)
    assert libc.capset(header, now) == 0
    yield
    assert libc.capset(header, before) == 0


@pytest.fixture(autouse=True)
def _restored_process() -> Iterator[None]:
    """Commands set signal handlers, hooks and loggers of the whole process."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    hooks = threading.excepthook, sys.unraisablehook
    root_handlers = list(logging.getLogger().handlers)
    yield
    threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)
    logging.getLogger().handlers = root_handlers
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for name in ("daemon", "watchdog"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    found = FakeGpu()
    fake_gpu.install(monkeypatch, found)
    return found


@pytest.fixture
def gpu_site(site: Site, small_bundle: Path) -> Site:
    add_tensorrt_graphs(small_bundle)
    return site
