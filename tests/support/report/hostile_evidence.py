"""Evidence and facts in which every string that others choose is an attempt at markup."""

from __future__ import annotations

from typing import Any

from tests.support.report.sample_evidence import CLASSES, FACTS, graph, whole_evidence

_IN_EVIDENCE = (
    *(f"class {number}" for number in range(len(CLASSES))),
    "default graph",
    "other graph",
    "graph not made",
    "reason",
    "origin of validation",
    "range method",
    "limit",
    "missed limit",
    "text of a limit",
    "layer in float",
    "layer with an effect",
    "tensor",
    "file of an image",
    "true label",
    "label by fp32",
    "label by int8",
    "layer beyond fp16",
    "sum beyond fp16",
)
_IN_FACTS = (
    "name",
    "version",
    "source",
    "kind of source",
    "hash of source",
    "part",
    "hash of part",
    "architecture",
    "change",
    "sandbox",
    "channels",
    "resize",
    "origin of calibration",
    "hash of calibration",
    "licence",
    "credit",
    "software",
    "package",
    "version of a package",
    "model file",
    "hash of a model file",
    "precision",
    "need",
    "value of a need",
)
# Each of them is shown on the page.
PLACES = (*_IN_EVIDENCE, *_IN_FACTS)


def hostile(place: str) -> str:
    """Leaves an attribute of either quote, and starts a script."""
    assert place in PLACES
    return f"\"'><script>{place}</script>&amp;"


def hostile_evidence() -> dict[str, Any]:
    evidence = whole_evidence()
    classes = {name: hostile(f"class {number}") for number, name in enumerate(CLASSES)}
    evidence["classes"] = list(classes.values())
    evidence["validation"]["origin"] = hostile("origin of validation")
    evidence["graphs"] = {
        hostile("default graph"): _hostile_graph(graph(passed=True), classes),
        hostile("other graph"): _hostile_graph(graph(passed=False), classes),
    }
    evidence["not_made"] = {hostile("graph not made"): hostile("reason")}
    evidence["fp16"] = {
        **_hostile_graph(graph(passed=True), classes),
        "kept_float": {hostile("layer beyond fp16"): 524_288.0},
        "sums_kept_float": {hostile("sum beyond fp16"): 524_288.0},
    }
    return evidence


def _hostile_graph(found: dict[str, Any], classes: dict[str, str]) -> dict[str, Any]:
    found["per_class"] = {classes[name]: share for name, share in found["per_class"].items()}
    found["worst_class"] = {p: classes[name] for p, name in found["worst_class"].items()}
    found["method"] = hostile("range method")
    found["method_divergence"] = {hostile("range method"): 0.1}
    for check in (*found["checks"], *found["naive_checks"]):
        check |= {"name": hostile("limit"), "text": hostile("text of a limit")}
    for step in found["rescue_steps"]:
        step |= {"kept_float": hostile("layer in float"), "missed": [hostile("missed limit")]}
    for effect in found["layer_effects"]:
        effect["name"] = hostile("layer with an effect")
    for tensor in found["worst_tensors"]:
        tensor["name"] = hostile("tensor")
    for image in found["disagreements"]:
        image["file"] = hostile("file of an image")
        image["label"] = hostile("true label")
        image["fp32"], image["int8"] = hostile("label by fp32"), hostile("label by int8")
    return found


def hostile_facts() -> dict[str, Any]:
    return {
        "name": hostile("name"),
        "version": hostile("version"),
        "input": {
            "height": 160,
            "width": 160,
            "channels": hostile("channels"),
            "resize": hostile("resize"),
        },
        "licence": hostile("licence"),
        "credit": hostile("credit"),
        "source": {
            "file": hostile("source"),
            "kind": hostile("kind of source"),
            "sha256": hostile("hash of source"),
            "parts": [{"file": hostile("part"), "sha256": hostile("hash of part")}],
            "architecture": hostile("architecture"),
            "changes": [hostile("change")],
            "sandbox": hostile("sandbox"),
        },
        "quantization": {
            "calibration": {
                "origin": hostile("origin of calibration"),
                "images": 256,
                "sha256": hostile("hash of calibration"),
            },
        },
        "artefacts": [
            {
                **FACTS["artefacts"][0],
                "path": hostile("model file"),
                "sha256": hostile("hash of a model file"),
                "precision": hostile("precision"),
                "requires": {hostile("need"): hostile("value of a need")},
            }
        ],
        "software": hostile("software"),
        "versions": {hostile("package"): hostile("version of a package")},
    }
