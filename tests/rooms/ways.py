"""The two ways that the drawings mark, as calls from room to room."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a way: who calls whom, and what happens there. A room may call itself."""

    caller: str
    called: str
    text: str


@dataclass(frozen=True, slots=True)
class Way:
    """A drawing: the packages whose rooms it shows one by one, and the steps through them."""

    file: str
    title: str
    package: str
    beside: tuple[str, ...]
    steps: tuple[Step, ...]


IMAGE = Way(
    "docs/image-way.svg",
    "One image's way, from the analyzer's file to its sidecar",
    "daemon",
    ("edge", "edge/backends", "edge/image_files", "edge/files"),
    (
        Step("daemon", "daemon/intake", "found: an inotify hint or a rescan names the file"),
        Step("daemon/intake", "daemon/intake", "settled: nobody writes to it any more"),
        Step("daemon", "daemon/journal", "recorded as waiting, later claimed by a worker"),
        Step("daemon", "daemon/model", "given with its batch to the model that labels now"),
        Step("daemon/model", "edge", "labelled: read, preprocessed, inferred, judged"),
        Step("edge", "edge/image_files", "read with bounds, checked to be whole, decoded"),
        Step("daemon/model", "edge/backends", "logits, by the session that was opened there"),
        Step("daemon", "daemon/results", "the outcome as JSON and CSV, named after the image"),
        Step("daemon/results", "edge/files", "durable: synced to the disk, then visible"),
        Step("daemon", "daemon/journal", "marked with its outcome"),
    ),
)

MODEL = Way(
    "docs/model-way.svg",
    "One model's way, from a trained file to a bundle",
    "converters",
    ("edge",),
    (
        Step("converters", "converters/inputs", "the card and the labelled images are read"),
        Step("converters", "converters/loading", "opened in a child, brought to one ONNX form"),
        Step("converters", "converters/export", "normalisation in front, compared with the source"),
        Step("converters", "converters/card_check", "the card is tried against the labels"),
        Step("converters", "converters/targets", "one INT8 graph for each target"),
        Step("converters/targets", "converters/calibration", "histograms of every activation"),
        Step("converters/targets", "converters/search", "which layers, which ranges"),
        Step("converters/search", "converters/correction", "errors of the layers are corrected"),
        Step("converters/search", "converters/int8", "quantized, and run as its target runs it"),
        Step("converters/search", "converters/accuracy", "judged by the gate on the images"),
        Step("converters", "converters/bundle", "written whole, with its evidence"),
        Step("converters/bundle", "converters/report", "the report as an HTML page"),
        Step("converters", "converters/engines", "TensorRT engines, where they are asked for"),
    ),
)

WAYS = (IMAGE, MODEL)
