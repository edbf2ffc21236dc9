"""What was measured, on which machine and under which conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from edge.bench.page.elements.html import Child, tag
from edge.bench.page.elements.numbers import bytes_as_text, significant
from edge.bench.reading.document import Document
from edge.text.counted import counted

_UNKNOWN = "not told by the kernel"


def title_of(document: Document) -> str:
    """The page's title."""
    return f"{document.subject.bundle} {document.subject.version}: how fast it is"


def header(document: Document) -> Element:
    """The heading: bundle, images, time and software."""
    subject = document.subject
    source = "drawn cells" if subject.images == "drawn cells" else "own images"
    return tag(
        "header",
        tag("h1", title_of(document)),
        tag(
            "p",
            f"{counted(subject.image_count, 'image')} ({source}), measured {document.created} by "
            f"{document.software}",
        ),
        tag("p", tag("code", " ".join(document.command))),
    )


def machine(document: Document) -> Element:
    """Two lists of facts: the machine, and what happened on it meanwhile."""
    return tag(
        "section",
        tag("h2", "Machine and conditions"),
        tag(
            "div",
            _facts("Machine", _machine_facts(document.environment)),
            _facts("While it was measured", _condition_facts(document.conditions)),
            class_="pair",
        ),
        *_hashes(document),
    )


def _hashes(document: Document) -> Iterator[Element]:
    subject = document.subject
    yield tag(
        "p",
        "Bundle ",
        tag("code", subject.bundle_sha256),
        ", images ",
        tag("code", subject.images_sha256),
        class_="soft",
    )


def _facts(title: str, facts: Iterator[tuple[str, str]]) -> Element:
    items: list[Child] = []
    for name, value in facts:
        items += [tag("dt", name), tag("dd", value)]
    return tag("div", tag("h3", title), tag("dl", *items))


def _machine_facts(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Processor", _text(found.get("cpu"))
    yield "Cores", f"{_text(found.get('cores'))} of {_text(found.get('cores_online'))} online"
    if found.get("cpu_quota") is not None:
        yield "Quota", f"the time of {_text(found['cpu_quota'])} cores"
    yield "INT8 instructions", _listed(found.get("int8_instructions")) or "none"
    yield "Frequency", _frequency(found)
    if isinstance(memory := found.get("memory_bytes"), (int, float)):
        yield "Memory", bytes_as_text(memory)
    yield "System", _text(found.get("system"))
    yield "Virtual machine", _yes_no(found.get("virtualised"))
    yield "Container", _text(found.get("container") or "no")
    if isinstance(gpu := found.get("gpu"), dict):
        yield "GPU", _gpu(gpu)
    packages = found.get("packages")
    named = packages.items() if isinstance(packages, dict) else ()
    yield (
        "Software",
        ", ".join(
            [f"Python {_text(found.get('python'))}", *(f"{name} {value}" for name, value in named)]
        ),
    )


def _condition_facts(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Duration", _number(found.get("seconds"), "s")
    yield "Load of others", _number(found.get("other_load"), "cores")
    yield "Given to other guests", _number(found.get("steal_percent"), "%")
    yield "Waited for a processor", _number(found.get("waited_percent"), "% of its time")
    low, high = found.get("frequency_min_mhz"), found.get("frequency_max_mhz")
    yield "Frequency", f"{low} to {high} MHz" if low and high else _UNKNOWN
    yield "Slowed down by heat", _number(found.get("throttled"), "times")
    yield "Held back by a quota", _number(found.get("held_back_ms"), "ms")
    if slowed := _listed(found.get("gpu_slowed_by")):
        yield "GPU slowed down by", slowed
    yield "Pages read from the disk", _number(found.get("major_faults"), "")
    yield "Clock set by", _number(found.get("clock_set_s"), "s")
    yield "Slept", _number(found.get("slept_s"), "s")


def _frequency(found: Mapping[str, Any]) -> str:
    parts = []
    if found.get("frequency_mhz"):
        parts.append(f"{found['frequency_mhz']} MHz")
    if found.get("frequency_governor"):
        parts.append(f"governor {found['frequency_governor']}")
    if isinstance(turbo := found.get("turbo"), bool):
        parts.append("turbo on" if turbo else "turbo off")
    return ", ".join(parts) or _UNKNOWN


def _gpu(gpu: Mapping[str, Any]) -> str:
    parts = [_text(gpu.get("name")), f"driver {_text(gpu.get('driver'))}"]
    if gpu.get("sm_clock_mhz"):
        parts.append(f"{gpu['sm_clock_mhz']} of {_text(gpu.get('max_sm_clock_mhz'))} MHz")
    if isinstance(gpu.get("ecc"), bool):
        parts.append("ECC on" if gpu["ecc"] else "ECC off")
    return ", ".join(parts)


def _number(value: Any, unit: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _UNKNOWN
    return f"{significant(value)} {unit}".rstrip()


def _listed(values: Any) -> str:
    return ", ".join(map(str, values)) if isinstance(values, list) else ""


def _yes_no(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else _UNKNOWN


def _text(value: Any) -> str:
    return _UNKNOWN if value is None else str(value)
