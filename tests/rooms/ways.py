"""The ways that the drawings mark, as calls from room to room."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a way: its number, who calls whom, and what happens there.

    A room may call itself.
    """

    number: str
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
        Step("1", "daemon", "daemon/intake", "found: an inotify hint or a rescan names the file"),
        Step("2", "daemon/intake", "daemon/intake", "settled: nobody writes to it any more"),
        Step("3", "daemon", "daemon/journal", "recorded as waiting"),
        Step("4", "daemon", "daemon/journal", "claimed by a worker, with others if many wait"),
        Step("5a", "daemon", "daemon/model", "labelled, by the model that labels now:"),
        Step("5b", "daemon/model", "edge", "preprocessed, inferred, decided"),
        Step("5c", "edge", "edge/image_files", "read with bounds, checked to be whole, decoded"),
        Step("5d", "daemon/model", "edge/backends", "the session that gives the logits"),
        Step("6a", "daemon", "daemon/results", "durable: JSON and CSV, named after the image"),
        Step("6b", "daemon/results", "edge/files", "synced to the disk, then visible"),
        Step("7", "daemon", "daemon/journal", "marked with its outcome"),
    ),
)

MODEL = Way(
    "docs/model-way.svg",
    "One model's way, from a trained file to a bundle",
    "converters",
    ("edge",),
    (
        Step("1", "converters", "converters/inputs", "the card and the labelled images are read"),
        Step(
            "2", "converters", "converters/loading", "opened in a child, brought to one ONNX form"
        ),
        Step(
            "3",
            "converters",
            "converters/export",
            "normalisation in front, compared with the source",
        ),
        Step("4", "converters", "converters/card_check", "the card is tried against the labels"),
        Step("5", "converters", "converters/targets", "one INT8 graph for each target"),
        Step("6", "converters/targets", "converters/calibration", "histograms of every activation"),
        Step("7", "converters/targets", "converters/search", "which layers, which ranges"),
        Step(
            "8", "converters/search", "converters/correction", "errors of the layers are corrected"
        ),
        Step(
            "9", "converters/search", "converters/int8", "quantized, and run as its target runs it"
        ),
        Step("10", "converters/search", "converters/accuracy", "judged by the gate on the images"),
        Step("11", "converters", "converters/features", "the last layer's input as second output"),
        Step("12", "converters", "converters/bundle", "written whole, with its evidence"),
        Step("13", "converters/bundle", "converters/report", "the report as an HTML page"),
        Step(
            "13", "converters", "converters/engines", "TensorRT engines, where they are asked for"
        ),
    ),
)

SLIDE = Way(
    "docs/slide-way.svg",
    "One slide's way, from the sidecars of its images to the LIS",
    "edge/results",
    ("edge", "edge/files"),
    (
        Step("1", "edge/results/commands", "edge/results/send", "looked for, while send watches"),
        Step("2", "edge/results/send", "edge/results/reading", "each sidecar read, or held"),
        Step("3a", "edge/results/send", "edge/results/slides", "images gathered to slides"),
        Step("3b", "edge/results/slides", "edge/results/manifest", "whose image it is"),
        Step("3c", "edge/results/slides", "edge/results/verification", "what a person has signed"),
        Step("4", "edge/results/slides", "edge/results/differential", "counted, with intervals"),
        Step("5", "edge/results/send", "edge/results/issued", "issued: a revision, for ever"),
        Step("6", "edge/results/send", "edge/results/formats", "written as the target reads it"),
        Step("7", "edge/results/send", "edge/results/send", "queued, then handed over once"),
    ),
)

WAYS = (IMAGE, MODEL, SLIDE)
