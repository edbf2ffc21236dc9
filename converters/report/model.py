"""Which model was converted, from what and with what: for whoever has to repeat it."""

from __future__ import annotations

from collections.abc import Iterator

from converters.report.facts import Fields, calibration
from converters.report.markup import EMPTY, Html, join, name_of, table, tag
from converters.report.numbers import count, percent, size


def model_facts(evidence: Fields, facts: Fields) -> Html:
    """Model, images, files and software as tables.

    Without times and the default precision: they depend on the machine's load, and the same
    conversion must give the same report.
    """
    model = table(
        "Model and images", [("What", "text"), ("Value", "text")], _facts(evidence, facts)
    )
    return join((tag("div", model, _files(facts), class_="pair"),))


def _facts(evidence: Fields, facts: Fields) -> Iterator[tuple[str, str]]:
    source, input_ = facts.get("source") or {}, facts.get("input") or {}
    yield "Model", name_of(f"{facts.get('name', 'unnamed')} {facts.get('version', '')}")
    yield "Classes", join(map(name_of, evidence["classes"]), ", ")
    if source:
        yield "Converted from", _hashed(f"{source['file']} ({source['kind']})", source["sha256"])
        for part in source.get("parts") or ():
            yield "Part", _hashed(part["file"], part["sha256"])
        yield from _opened(source)
    if input_:
        yield "Input", _input(input_)
    if facts.get("unidentified_below") is not None:
        yield "Unidentified below", f"{percent(facts['unidentified_below'], 0)} confidence"
    validation, calibrated = evidence["validation"], calibration(facts)
    yield "Validation images", _images(validation)
    if calibrated:
        yield "Calibration images", _images(calibrated)
    for title, key in (("Licence", "licence"), ("Credit", "credit"), ("Software", "software")):
        if facts.get(key):
            yield title, name_of(facts[key])
    versions = facts.get("versions") or {}
    if versions:
        yield "Versions", name_of(", ".join(f"{k} {v}" for k, v in versions.items()))


def _opened(source: Fields) -> Iterator[tuple[str, str]]:
    """What was built, what was changed in it, and what guarded its opening."""
    if source.get("architecture"):
        yield "Architecture", name_of(source["architecture"])
    if source.get("changes"):
        yield "Changed", name_of("; ".join(source["changes"]))
    if source.get("sandbox"):
        yield "Opened in a sandbox", name_of(source["sandbox"])


def _files(facts: Fields) -> Html:
    models = [a for a in facts.get("artefacts") or () if a["role"] == "model"]
    if not models:
        return EMPTY
    columns = [("File", "text"), ("Precision", "text"), ("Size", "number"), ("Needs", "text")]
    rows = (
        [
            _hashed(artefact["path"], artefact["sha256"]),
            artefact.get("precision", ""),
            size(artefact["bytes"]),
            ", ".join(f"{k} {v}" for k, v in (artefact.get("requires") or {}).items()),
        ]
        for artefact in models
    )
    return table("Model files of the bundle", columns, rows)


def _input(fields: Fields) -> str:
    crop = percent(fields.get("crop", 1.0), 0)
    return (
        f"{fields['width']} x {fields['height']} pixels, {fields['channels'].upper()}, central "
        f"{crop} of the image's side, resized by {fields['resize']}"
    )


def _images(fields: Fields) -> Html:
    text = f"{count(fields['images'])} of {fields['origin']}"
    return _hashed(text, fields["sha256"])


def _hashed(text: str, sha256: str) -> Html:
    return join((name_of(text), tag("small", tag("code", f"sha256 {sha256}"))))
