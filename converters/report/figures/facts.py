"""What the report reads out of the evidence, so that its sections agree on it."""

from __future__ import annotations

from typing import Any, Final

from converters.accuracy.statistics import paired_drop_interval
from converters.accuracy.validation_size import THIN_CLASS_IMAGES
from converters.int8.graphs import INT8, TITLES

# What most workstations run.
DEFAULT_GRAPH: Final = INT8.target
# The origin that image_set.draw_images gives.
DRAWN_ORIGIN: Final = "drawn cells"

Fields = dict[str, Any]


def default_graph(evidence: Fields) -> str | None:
    """The graph that is shown in full; None where nothing was quantized."""
    names = list(evidence["graphs"])
    return DEFAULT_GRAPH if DEFAULT_GRAPH in names else next(iter(names), None)


def graph_title(name: str) -> str:
    """A graph's name and the machines that it is for."""
    target = graph_target(name)
    return f"{name} ({target})" if target else name


def graph_target(name: str) -> str:
    """The machines that a graph is for; empty where that is not known."""
    return TITLES.get(name, "")


def rescued(graph: Fields) -> list[str]:
    """The layers that went back to float."""
    # Older bundles lack the key: in them every step was kept.
    steps = graph.get("rescue_steps", ())
    return [step["kept_float"] for step in steps if step.get("is_kept", True)]


def not_made(evidence: Fields) -> dict[str, str]:
    """Why graphs could not be made, by their names."""
    return dict(evidence.get("not_made") or {})


def missed(graph: Fields) -> list[Fields]:
    """The limits that do not hold."""
    return [check for check in graph["checks"] if not check["holds"]]


def calibration(facts: Fields) -> Fields | None:
    """The images that the ranges come from."""
    found: Fields | None = (facts.get("quantization") or {}).get("calibration")
    return found


def empty_classes(evidence: Fields) -> list[str]:
    """The classes of which a labelled validation set has no image."""
    return [name for name, share in _fp32_by_class(evidence).items() if not share["total"]]


def thin_classes(evidence: Fields) -> dict[str, int]:
    """The classes of which a labelled validation set has too few images, and how many."""
    totals = {name: share["total"] for name, share in _fp32_by_class(evidence).items()}
    return {name: total for name, total in totals.items() if 0 < total < THIN_CLASS_IMAGES}


def right_of_class(evidence: Fields) -> dict[str, tuple[int, int]]:
    """By class the images that FP32 labels right, and all of them; none without labels."""
    shares = _fp32_by_class(evidence)
    return {name: (share["count"], share["total"]) for name, share in shares.items()}


def _fp32_by_class(evidence: Fields) -> dict[str, Fields]:
    """How many images of each class FP32 labels right; none without labels."""
    name = default_graph(evidence)
    per_class = evidence["graphs"][name].get("per_class") or {} if name else {}
    return {cell_class: found["fp32"] for cell_class, found in per_class.items()}


def drop_interval(graph: Fields) -> tuple[float, float] | None:
    """95 % interval of the percentage points lost; None without labels."""
    if "accuracy" not in graph:
        return None
    found = graph["disagreements"]
    lost, gained = sum(was_lost(i) for i in found), sum(was_gained(i) for i in found)
    return paired_drop_interval(lost, gained, graph["accuracy"]["fp32"]["total"])


def was_lost(image: Fields) -> bool:
    """Whether FP32 was right where INT8 is not."""
    return bool(image["fp32"] == image["label"] != image["int8"])


def was_gained(image: Fields) -> bool:
    """Whether INT8 is right where FP32 was not."""
    return bool(image["int8"] == image["label"] != image["fp32"])
