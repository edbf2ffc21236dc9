"""Says whether two measurements are of the same thing, which a comparison needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.bench.reading.document import Document
from edge.errors import ConfigError
from edge.text.printable import printable

# Facts that make another machine of it; a new kernel or library is what one may want to compare.
_MACHINE: Final = ("cpu", "cores", "cpu_quota", "int8_instructions", "virtualised", "gpu")
# Facts that change what is measured on the same machine, and are worth a line.
_SETTINGS: Final = ("frequency_governor", "turbo", "system", "container", "python")
_MOST_SHOWN: Final = 60


def different_subject(
    before: Document, after: Document, *, across_machines: bool
) -> tuple[str, ...]:
    """What differs and may be compared all the same, a line each.

    Raises:
        ConfigError: the images differ, or the machines do and that was not asked for.
    """
    if before.subject.images_sha256 != after.subject.images_sha256:
        raise ConfigError(
            "the two measurements are of different images "
            f"({_images(before)} and {_images(after)}). Measure both with the same --images."
        )
    machines = list(_differences(_machine(before), _machine(after), _MACHINE))
    if machines and not across_machines:
        raise ConfigError(
            f"the two measurements are from different machines: {'; '.join(machines)}. Measure "
            "both on one, or give --across-machines."
        )
    return (*machines, *_lesser(before, after))


def _lesser(before: Document, after: Document) -> Iterator[str]:
    old, new = before.subject, after.subject
    if old.bundle_sha256 != new.bundle_sha256:
        yield (
            f"bundle: {printable(f'{old.bundle} {old.version}')} before, "
            f"{printable(f'{new.bundle} {new.version}')} after"
        )
    if before.software != after.software:
        yield f"software: {printable(before.software)} before, {printable(after.software)} after"
    yield from _differences(before.environment, after.environment, _SETTINGS)
    earlier = _mapping(before.environment.get("packages"))
    later = _mapping(after.environment.get("packages"))
    yield from _differences(earlier, later, tuple(sorted(earlier.keys() | later.keys())))


def _machine(document: Document) -> Mapping[str, Any]:
    """The facts of the machine; of a GPU its name alone, since its clocks always change."""
    gpu = _mapping(document.environment.get("gpu")).get("name")
    return {**document.environment, "gpu": gpu}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], keys: tuple[str, ...]
) -> Iterator[str]:
    for key in keys:
        if old.get(key) != new.get(key):
            yield f"{printable(key)}: {_shown(old.get(key))} before, {_shown(new.get(key))} after"


def _shown(value: Any) -> str:
    if value is None:
        return "unknown"
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return printable(text)[:_MOST_SHOWN] or "none"


def _images(document: Document) -> str:
    subject = document.subject
    return (
        f"{subject.image_count} {printable(subject.images)} {printable(subject.images_sha256[:8])}"
    )
