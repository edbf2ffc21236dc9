"""What the tests of reloads hold up and watch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.system.notifier import Notifier
from tests.support.site import Site
from tests.support.waiting import until


class Told(Notifier):
    """Remembers what systemd is told."""

    def __init__(self) -> None:
        super().__init__({})
        self.lines: list[str] = []

    def notify(self, *assignments: str) -> None:
        self.lines += assignments

    def signs(self) -> list[str]:
        """What it was told of a reload's beginning and end, in order."""
        return [line for line in self.lines if line in {"RELOADING=1", "READY=1"}]


class Gate:
    """Holds up calls of a function from the `first` on, until it is opened."""

    def __init__(self, function: Callable[..., Any], *, first: int = 1) -> None:
        self._function = function
        self._first = first
        self._calls = 0
        self.entered, self.opened = threading.Event(), threading.Event()

    def __call__(self, *arguments: Any) -> Any:
        self._calls += 1
        if self._calls >= self._first:
            self.entered.set()
            assert self.opened.wait(60)
        return self._function(*arguments)


def is_checking() -> bool:
    """Whether a configuration is being checked; a right one is handed over at its end."""
    return any(thread.name == "reload" for thread in threading.enumerate())


def label(site: Site, name: str, content: bytes) -> None:
    site.add(name, content)
    until(lambda: site.has_sidecar(name))


def add_folder(site: Site, name: str, content: bytes) -> Path:
    """A further watch folder with an image; gives the sidecar that the image would get."""
    (site.folder / name).mkdir()
    (site.folder / name / f"{name}.jpg").write_bytes(content)
    site.settings["watch"].append({"folder": name})
    assert site.config_path.exists()
    return site.results / name / f"{name}.jpg.json"
