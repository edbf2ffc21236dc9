"""Writes the text of a new card: found values with their origin, and FILL IN for the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import yaml

from converters.inputs.card import FILL_IN
from converters.loading.describe.findings import Finding, Findings
from converters.loading.sandbox.messages import SourceKind
from edge.text.printable import printable

_HEAD: Final = f"""\
# Model card of {{file}}, written by edge-convert --new-card.
# Replace every {FILL_IN}, and check what is called a guess. docs/conversion.md describes the keys.
"""
_TAIL: Final = """\
# calibration: images/calibration   # some hundred exported images, no labels needed
# validation: images/validation     # one folder of images per class, named as above
"""
# The card's resize method that is closest to the training library's.
_RESIZE: Final = {"nearest": "nearest", "bilinear": "area", "bicubic": "area", "lanczos": "area"}
_NEEDS_ARCHITECTURE: Final = (
    SourceKind.STATE_DICT,
    SourceKind.CHECKPOINT,
    SourceKind.SAFETENSORS,
)


def card_text(file: str, name: str, kind: SourceKind, found: Findings) -> str:
    """A card in YAML for a file; `read_card` refuses it until every FILL IN is replaced."""
    lines = [
        _HEAD.format(file=printable(file)).rstrip("\n"),
        _line("name", Finding(name, "the file's name", is_guess=True)),
        _line("version", None, 'the model\'s own, such as "1.0"'),
        *_architecture(kind, found),
        *_classes(found),
        "input:",
        *_input(found),
        _line("unidentified_below", Finding(0.5, "a usual value", is_guess=True)),
        _line("licence", found.licence) if found.licence else "# licence: ...",
        "# source: who trained it, on what",
        _TAIL.rstrip("\n"),
    ]
    return "\n".join(lines) + "\n"


def _architecture(kind: SourceKind, found: Findings) -> Iterator[str]:
    if kind is SourceKind.PICKLED_MODULE:
        yield "# A pickled module: save its state dict, or convert it with --trust-pickle."
    if kind not in _NEEDS_ARCHITECTURE:
        return
    hint = "timm:NAME, torchvision:NAME, transformers:TYPE or package.module:function"
    if found.architecture is None:
        yield _line("architecture", None, hint)
        return
    values = dict(found.architecture.value)
    value = values if len(values) > 1 else values["name"]
    if found.architecture.is_guess:
        said = printable(str(values["name"]))
        yield _line("architecture", None, f"{found.architecture.origin} says {said}; {hint}")
    else:
        yield _line("architecture", Finding(value, found.architecture.origin))


def _classes(found: Findings) -> Iterator[str]:
    count = found.outputs.value if found.outputs else 2
    how_many = (
        f"{count}: {_origin(found.outputs)}" if found.outputs else "how many, it does not say"
    )
    if found.classes:
        yield f"classes:  # {_origin(found.classes)}; in the order of the network's outputs"
        yield from (f"  - {_yaml(name)}" for name in found.classes.value)
        return
    yield f"classes:  # in the order of the network's outputs; {how_many}"
    yield from (f"  - {FILL_IN}" for _ in range(min(count, 1000)))


def _input(found: Findings) -> Iterator[str]:
    way = found.interpolation
    yield _line("  height", found.height, "pixels")
    yield _line("  width", found.width, "pixels")
    yield _line("  channels", Finding("rgb", "most trainings; OpenCV reads bgr", is_guess=True))
    if way:
        note = f"{way.origin} says {printable(way.value)}, which smooths when it shrinks"
        yield _line("  resize", Finding(_RESIZE.get(way.value, "area"), note, is_guess=True))
    else:
        yield _line("  resize", None, "as in the training: area, linear, cubic or nearest")
    yield _line("  crop", found.crop or Finding(1.0, "no crop", is_guess=True))
    example = "for values scaled to 0..1; of ImageNet"
    yield _line("  mean", found.mean, f"{example}: [0.485, 0.456, 0.406]")
    yield _line("  std", found.std, f"{example}: [0.229, 0.224, 0.225]")


def _line(key: str, finding: Finding | None, needed: str = "") -> str:
    if finding is None:
        return f"{key}: {FILL_IN}  # {printable(needed)}"
    return f"{key}: {_yaml(finding.value)}  # {_origin(finding)}"


def _origin(finding: Finding) -> str:
    return (
        f"a guess: {printable(finding.origin)}" if finding.is_guess else printable(finding.origin)
    )


def _yaml(value: Any) -> str:
    """A value on one line; texts are quoted, since a class may be called `no` or `007`."""
    style = '"' if isinstance(value, str) else None
    text: str = yaml.safe_dump(
        value,
        default_style=style,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=1 << 20,
    )
    return text.removesuffix("...\n").strip()
