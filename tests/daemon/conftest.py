"""A small site: a bundle, an export folder, a configuration, and looks at what became of images."""

from __future__ import annotations

import csv
import ctypes
import hashlib
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import edge
from daemon.config.config import Config, load_config
from daemon.health.systemd import Notifier
from daemon.startup import opened_service
from tests.support import fake_gpu
from tests.support.engine_bundle import add_tensorrt_graphs
from tests.support.fake_gpu import FakeGpu
from tests.support.machine.install_image import make_image

SCHEMA = json.loads((Path(edge.__file__).parent / "schemas" / "edge-sidecar-1.json").read_text())
ROOT = Path(__file__).parent.parent.parent


@dataclass
class Site:
    """A laboratory in a temporary folder."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def export(self) -> Path:
        return self.folder / "export"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def config_path(self) -> Path:
        path = self.folder / "edge.yaml"
        path.write_text(yaml.safe_dump(self.settings))
        return path

    def config(self) -> Config:
        return load_config(self.config_path)

    def add(self, name: str, content: bytes, *, age_s: float = 60.0) -> Path:
        """Put a file into the export folder that was written `age_s` ago."""
        path = self.export / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Seen before its time is set it would be a version of its own.
        hidden = path.with_name(f".{threading.get_ident()}")
        hidden.write_bytes(content)
        moment = time.time() - age_s
        os.utime(hidden, (moment, moment))
        hidden.replace(path)
        return path

    def sidecar(self, name: str) -> dict[str, Any]:
        """The JSON sidecar of an image, which must keep to the published schema."""
        fields: dict[str, Any] = json.loads((self.results / f"{name}.json").read_text())
        jsonschema.validate(fields, SCHEMA)
        with (self.results / f"{name}.csv").open(newline="") as file:
            (row,) = csv.DictReader(file)
        assert (row["status"], row["image_sha256"]) == (
            fields["status"],
            fields["image"]["sha256"] or "",
        )
        return fields

    def has_sidecar(self, name: str) -> bool:
        return (self.results / f"{name}.json").exists()

    def outcomes(self) -> dict[str, tuple[str, str | None, str | None, str | None]]:
        """State, status, label and reason of the newest version of each image.

        The reason of one that was put off is the cause of that.
        """
        journal = self.folder / "state" / "journal.sqlite3"
        if not journal.exists():
            return {}
        with closing(sqlite3.connect(journal)) as db:
            if not db.execute("PRAGMA user_version").fetchone()[0]:
                return {}  # it is being made just now
            rows = db.execute(
                "SELECT path, state, status, label, coalesce(cause, reason) FROM image "
                "WHERE is_current = 1"
            ).fetchall()
        return {os.fsdecode(row[0]): (row[1], row[2], row[3], row[4]) for row in rows}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "daemon.cli", *words, "--config", str(self.config_path)]

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """The service runs in a thread; its error, if any, is raised at the end."""
        errors: list[BaseException] = []
        with opened_service(self.config()) as service:

            def run() -> None:
                try:
                    service.run()
                except BaseException as error:  # noqa: BLE001 - raised again below
                    errors.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            try:
                yield
            finally:
                service.stop()
                thread.join(timeout=20)
        if errors:
            raise errors[0]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root folder of another system, to install into."""
    return make_image(tmp_path / "machine")


@pytest.fixture
def site(tmp_path: Path, small_bundle: Path) -> Site:
    settings = {
        "bundle": str(small_bundle),
        "watch": [{"folder": "export", "sample": "{sample_id}/{slide_id}/*"}],
        "results": {"folder": "results"},
        "settle_s": 0.1,
        "state_dir": "state",
        "retry": {"attempts": 3, "first_delay_s": 0.05, "max_delay_s": 0.2},
    }
    (tmp_path / "export").mkdir()
    (tmp_path / "results").mkdir()
    return Site(tmp_path, settings)


@pytest.fixture
def silent_notifier() -> Notifier:
    """Tells nobody."""
    return Notifier({})


def until(condition: Callable[[], bool], *, timeout_s: float = 15.0) -> None:
    """Wait for a condition; fail when it does not come."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.005)


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., None]:
    return until


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(name="digests")
def digests_fixture() -> Callable[[Path], dict[str, str]]:
    return digests


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


def backend_of(site: Site, name: str) -> str:
    model: dict[str, str] = site.sidecar(name)["model"]
    return model["backend"]
