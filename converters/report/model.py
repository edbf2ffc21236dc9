"""Which model was converted, from what and with what: for whoever has to repeat it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from converters.report.figures.facts import Fields, calibration
from converters.report.figures.numbers import count, percent, size


@dataclass(frozen=True, slots=True)
class Fact:
    """A line about the model; `values` are names, `sha256` is empty where there is no file."""

    title: str
    values: tuple[str, ...]
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A graph in the bundle, and what the machine that runs it needs."""

    path: str
    sha256: str
    precision: str
    size: str
    needs: str


@dataclass(frozen=True, slots=True)
class Model:
    """Model, images, files and software.

    Without times and the default precision: they depend on the machine's load, and the same
    conversion must give the same report.
    """

    facts: tuple[Fact, ...]
    files: tuple[ModelFile, ...]


def model(evidence: Fields, facts: Fields) -> Model:
    """What is known of the model; every key of `facts` is optional."""
    return Model(tuple(_facts(evidence, facts)), tuple(_files(facts)))


def _facts(evidence: Fields, facts: Fields) -> Iterator[Fact]:
    yield Fact("Model", (f"{facts.get('name', 'unnamed')} {facts.get('version', '')}",))
    yield Fact("Classes", tuple(evidence["classes"]))
    if source := facts.get("source"):
        yield from _source(source)
    if input_ := facts.get("input"):
        yield Fact("Input", (_input(input_),))
    if facts.get("unidentified_below") is not None:
        confidence = f"{percent(facts['unidentified_below'], 0)} confidence"
        yield Fact("Unidentified below", (confidence,))
    if adapted := facts.get("adapted"):
        yield from _adapted(adapted)
    if features := facts.get("features"):
        yield Fact("Features", (_features(features),))
    yield _images("Validation images", evidence["validation"])
    if calibrated := calibration(facts):
        yield _images("Calibration images", calibrated)
    for title, key in (("Licence", "licence"), ("Credit", "credit"), ("Software", "software")):
        if facts.get(key):
            yield Fact(title, (facts[key],))
    if versions := facts.get("versions"):
        yield Fact("Versions", tuple(f"{name} {found}" for name, found in versions.items()))


def _source(source: Fields) -> Iterator[Fact]:
    """The files, what was built of them, what was changed, and what guarded their opening."""
    yield Fact("Converted from", (f"{source['file']} ({source['kind']})",), source["sha256"])
    for part in source.get("parts") or ():
        yield Fact("Part", (part["file"],), part["sha256"])
    if source.get("architecture"):
        yield Fact("Architecture", (source["architecture"],))
    if source.get("changes"):
        yield Fact("Changed", ("; ".join(source["changes"]),))
    if source.get("sandbox"):
        yield Fact("Opened in a sandbox", (source["sandbox"],))


def _files(facts: Fields) -> Iterator[ModelFile]:
    for artefact in facts.get("artefacts") or ():
        if artefact["role"] == "model":
            yield ModelFile(
                path=artefact["path"],
                sha256=artefact["sha256"],
                precision=artefact.get("precision", ""),
                size=size(artefact["bytes"]),
                needs=", ".join(f"{k} {v}" for k, v in (artefact.get("requires") or {}).items()),
            )


def _adapted(adapted: Fields) -> Iterator[Fact]:
    """The parent, the cells, and what the new layer is worth on them."""
    parent, cells = adapted["parent"], adapted["cells"]
    yield Fact("Adapted from", (f"{parent['name']} {parent['version']}",), parent["sha256"])
    counts = tuple(f"{name} {n}" for name, n in cells["of_class"].items() if n)
    yield Fact(f"Labelled cells of {cells['origin']}", counts, cells["sha256"])
    if rows := cells["rows_of_parent"]:
        yield Fact("Rows of the parent, without images", tuple(rows))
    for title, key in (
        ("Right, kept back", "kept_back"),
        ("Right, cross-validated", "cross_validated"),
    ):
        before, after = (percent(adapted[key][of]["value"]) for of in ("parent", "new"))
        yield Fact(title, (f"{before} before, {after} with the new layer (mean over the classes)",))
    curve = adapted["learning_curve"]
    points = tuple(f"{p['images_of_class']}: {percent(p['accuracy'])}" for p in curve["points"])
    yield Fact("Right with so many of each class", points)
    if curve["expected"]:
        yield Fact("Expected", (curve["expected"],))


def _features(fields: Fields) -> str:
    if "absent" in fields:
        return f"none: {fields['absent']}"
    return f"{count(fields['count'])} numbers of an image, the input of the last layer"


def _input(fields: Fields) -> str:
    crop = percent(fields.get("crop", 1.0), 0)
    return (
        f"{fields['width']} x {fields['height']} pixels, {fields['channels'].upper()}, central "
        f"{crop} of the image's side, resized by {fields['resize']}"
    )


def _images(title: str, fields: Fields) -> Fact:
    return Fact(title, (f"{count(fields['images'])} of {fields['origin']}",), fields["sha256"])
