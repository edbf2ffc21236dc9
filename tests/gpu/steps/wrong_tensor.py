"""Step: where a refused INT8 engine goes wrong, and with which change it is right.

The engine is compared with ONNX Runtime, which computes the same graph node by node. One build
tells most: its output is all quantized tensors of the graph in a row, so that the first wrong one
is seen at once. The shortest graph that is wrong is then built with one change at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from edge.backends.onnx import open_onnx
from edge.backends.trt.build import BuildOptions, build_plan
from edge.backends.trt.session import open_plan
from edge.errors import EdgeError
from edge.image_files.read import read_image
from edge.preprocess import preprocess
from tests.gpu.setting import Found, Setting
from tests.gpu.steps.graph_changes import CHANGES, beginning, read_out, tensors

# Root mean square of the difference, as a share of the tensor's own. INT8 steps that fall to the
# other side add up to 8 % within cells8 where all biases are rounded to FP16, and to 16 % with a
# noise that changes the logits by 1 %. The largest difference tells nothing: there it is half of
# the range and more.
LIMIT: Final = 0.3
# Builds take seconds in place of a minute; most kernels are the same ones.
LEVEL: Final = 1

OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "INT8 without FP16": {"allows_fp16": False},
    "level 0": {"level": 0},
    "without JIT convolutions": {"tactic_sources": ("EDGE_MASK_CONVOLUTIONS",)},
}

Deviate = Callable[[str], float]


class NoTimeError(Exception):
    """The next build would be cut off."""


@dataclass(slots=True)
class Search:
    """Builds and compares, and keeps what it finds as it goes."""

    setting: Setting
    images: NDArray[np.uint8]
    figures: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def outputs(
        self, model: onnx.ModelProto, **options: Any
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the engine gives and what ONNX Runtime gives.

        Raises:
            EdgeError: the engine cannot be built or run.
            NoTimeError: there is no time to build it.
        """
        if self.setting.left_s() < 1.3 * self.slowest_s:
            raise NoTimeError
        start = time.monotonic()
        graph = model.SerializeToString()
        settings = replace(BuildOptions("int8", max_batch=1, level=LEVEL), **options)
        library, machine = self.setting.library, self.setting.machine
        plan = build_plan(library, graph, settings, machine, lambda _step, _done, _total: None)
        session = open_plan(library, plan)
        try:
            found = session.infer(self.images).logits
        finally:
            session.close()
            self.slowest_s = max(self.slowest_s, time.monotonic() - start)
        return found, open_onnx(graph, "int8", optimise=False).infer(self.images).logits

    def deviation(self, model: onnx.ModelProto, **options: Any) -> float:
        """As `relative`, of the whole output."""
        return relative(*self.outputs(model, **options))

    def keep(self, group: str, name: str, value: float | str) -> None:
        """Note one comparison."""
        self.figures.setdefault(group, {})[name] = value
        told = f"off by {value:.1%}" if isinstance(value, float) else value
        self.lines.append(f"{group}, {name}: {told}")
        self.setting.on_partial(self.figures)


def wrong_tensor(setting: Setting) -> Found:
    """The first tensor that differs, and how the shortest wrong graph does with changes."""
    request = setting.request("int8")
    model = onnx.load_from_string(request.graph)
    image = read_image(setting.bundle.root / setting.bundle.golden[0].path)
    search = Search(setting, preprocess(image, setting.bundle.input)[np.newaxis])
    try:
        search_tensors(search, model)
    except NoTimeError:
        search.lines.append("there was no time for more builds")
    return Found(search.figures, tuple(search.lines))


def search_tensors(search: Search, model: onnx.ModelProto) -> None:
    whole = search.deviation(model)
    search.keep("whole graph", f"level {LEVEL}", whole)
    if whole <= LIMIT:
        # What is wrong is a kernel that a longer search picks.
        for level in (2, 3):
            search.keep("whole graph", f"level {level}", search.deviation(model, level=level))
        return
    first = _first_read_out(search, model)
    if first is None:
        names = tensors(model)
        search.lines.append("with all tensors read out the engine is right: a fusion is wrong")

        def deviate(name: str) -> float:
            found = search.deviation(beginning(model, name))
            search.keep("graph up to a tensor", name, found)
            return found

        first = first_wrong(names, deviate)
    search.figures["first_wrong"] = first
    search.lines.append(f"first wrong tensor: {first}")
    if first is not None:
        _change(search, beginning(model, first))


def _first_read_out(search: Search, model: onnx.ModelProto) -> str | None:
    """The first wrong tensor by one build that reads all of them out."""
    names = tensors(model)
    shown, sizes = read_out(model)
    found, expected = search.outputs(shown)
    ends = np.cumsum(sizes)[:-1]
    parts = zip(np.split(found[0], ends), np.split(expected[0], ends), strict=True)
    deviations = {name: relative(*part) for name, part in zip(names, parts, strict=True)}
    for name, share in deviations.items():
        search.keep("all tensors read out", name, share)
    return first_lasting(deviations)


def _change(search: Search, model: onnx.ModelProto) -> None:
    """Build the shortest wrong graph with one change at a time."""
    tries: dict[str, Callable[[], float]] = {"no change": lambda: search.deviation(model)}
    for name, change in CHANGES.items():
        tries[name] = lambda change=change: search.deviation(change(model))  # type: ignore[misc]
    for name, options in OPTIONS.items():
        tries[name] = lambda options=options: search.deviation(model, **options)  # type: ignore[misc]
    for name, try_ in tries.items():
        try:
            search.keep("shortest wrong graph", name, try_())
        except EdgeError as error:
            search.keep("shortest wrong graph", name, str(error))


def relative(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Root mean square of the difference, as a share of what is expected."""
    scale = float(np.sqrt(np.mean(np.square(expected, dtype=np.float64))))
    return float(np.sqrt(np.mean(np.square(found - expected, dtype=np.float64)))) / max(scale, 1e-9)


def first_lasting(deviations: Mapping[str, float]) -> str | None:
    """The first name from which on all deviate, up to the last; None where the last does not."""
    first = None
    for name, share in reversed(list(deviations.items())):
        if share <= LIMIT:
            break
        first = name
    return first


def first_wrong(names: list[str], deviate: Deviate) -> str | None:
    """The first name that deviates, if what follows it does too; found by halving."""
    low, high = 0, len(names)
    while low < high:
        middle = (low + high) // 2
        if deviate(names[middle]) > LIMIT:
            high = middle
        else:
            low = middle + 1
    return names[low] if low < len(names) else None
