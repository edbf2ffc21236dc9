"""One row of the table: a network written as one kind of file, converted and judged."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from converters.reference.data.pbc import read_manifest
from edge.bundle import load_bundle
from edge.errors import EdgeError
from edge.preprocess import InputSpec
from tests.networks import judging
from tests.networks.conversion import Settings, convert, engine_verdict
from tests.networks.formats import FORMATS, Source
from tests.networks.record import CONVERTED, DONE, FAILED, Row
from tests.networks.training.catalogue import NETWORKS
from tests.networks.training.images import Labelled, first_of_each_class, load
from tests.networks.training.store import input_of, load_network

_LONGEST_REASON: Final = 300
# The exporters of torch are not made for several threads.
_WRITING: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Task:
    """One row of the table."""

    network: str
    file_format: str

    @property
    def name(self) -> str:
        return f"{self.network}, {self.file_format}"

    def folder(self, out: Path) -> Path:
        return out / "rows" / self.name.replace(", ", "-").replace(" ", "-")


class JudgingImages:
    """The test images, loaded once for each input."""

    def __init__(self, settings: Settings) -> None:
        files = read_manifest(settings.data, "test")
        native = [file for file in files if file.kind == "native"]
        self._files = first_of_each_class(native, settings.test_per_class)
        self._loaded: dict[InputSpec, Labelled] = {}
        self._lock = threading.Lock()

    def of(self, spec: InputSpec) -> Labelled:
        with self._lock:
            if spec not in self._loaded:
                self._loaded[spec] = load(self._files, spec, lambda *_: None)
            return self._loaded[spec]


def converted(task: Task, nets: Path, out: Path, settings: Settings, test: JudgingImages) -> Row:
    """One row but for its speed; a failed one says why."""
    row: Row = {"network": task.network, "format": task.file_format}
    try:
        return {**row, **_converted(task, nets, out, settings, test), "state": CONVERTED}
    # Libraries raise what they like, and one row must not end the others.
    except Exception as error:  # noqa: BLE001
        return {**row, "state": FAILED, "reason": one_line(error)}


def one_line(error: Exception) -> str:
    """What went wrong, in one line; an error that is not ours with its kind."""
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, EdgeError) else f"{type(error).__name__}: "
    return f"{kind}{text}"[:_LONGEST_REASON]


def _converted(task: Task, nets: Path, out: Path, settings: Settings, test: JudgingImages) -> Row:
    folder = task.folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    module, card = load_network(nets, NETWORKS[task.network])
    spec = input_of(card)
    with _WRITING:
        source = Source(NETWORKS[task.network], module, folder, spec.height)
        written = FORMATS[task.file_format](source)
    card = {**card, "name": folder.name, **written.card}
    if not written.card:
        card.pop("architecture", None)
    path = folder / "card.yaml"
    path.write_text(yaml.safe_dump(card, sort_keys=False))
    bundle = folder / "model.edge"
    done = convert(written, path, out / "images", bundle, settings)
    return {
        **judging.judged(load_bundle(bundle), test.of(spec)),
        "side_px": spec.height,
        "trained": card.get("source", "not said"),
        "minutes": round(done.minutes, 2),
        "missing": done.missing,
        "engine": engine_verdict(bundle, settings),
    }


def timed(row: Row, task: Task, out: Path, test: JudgingImages) -> Row:
    try:
        bundle = load_bundle(task.folder(out) / "model.edge")
        image = test.of(bundle.input).images[0]
        return {**row, "ms": judging.timed(judging.served(bundle), image), "state": DONE}
    except EdgeError as error:
        return {**row, "state": FAILED, "reason": one_line(error)}
