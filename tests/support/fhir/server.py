"""A general FHIR server, modelled from the R4 specification: it carries a transaction out.

Conditional creates and updates, links between entries, and a version for each change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

Json = dict[str, Any]
# What may stand behind a link, by the element that holds it.
TARGETS: Final = {
    ("DiagnosticReport", "result"): {"Observation"},
    ("DiagnosticReport", "specimen"): {"Specimen"},
    ("Observation", "specimen"): {"Specimen"},
    ("Observation", "device"): {"Device", "DeviceMetric"},
    ("Provenance", "who"): {"Device", "Practitioner", "Organization"},
}


class RefusedError(Exception):
    """The transaction fails as a whole."""


@dataclass(slots=True)
class Server:
    """What a server holds: the versions of each resource by its address, `Observation/3`."""

    versions: dict[str, list[Json]] = field(default_factory=dict)

    def current(self, kind: str) -> list[Json]:
        """The newest version of each resource of a kind."""
        return [
            all_of[-1] for url, all_of in self.versions.items() if url.partition("/")[0] == kind
        ]

    def read(self, url: str) -> Json:
        """The newest version of a resource."""
        return self.versions[url][-1]

    def post(self, bundle: Json) -> None:
        """Carry a transaction out.

        Raises:
            RefusedError: nothing was changed.
        """
        if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "transaction":
            raise RefusedError("no transaction")
        addresses: dict[str, str] = {}
        writes: list[tuple[str, Json]] = []
        for number, entry in enumerate(bundle["entry"]):
            address, is_write = self._address(entry, number)
            if addresses.setdefault(entry["fullUrl"], address) != address:
                raise RefusedError("fullUrl is given twice")
            if is_write:
                writes.append((address, entry["resource"]))
        if len({address for address, _ in writes}) != len(writes):
            raise RefusedError("two entries write the same resource")
        for address, resource in [(a, _linked(r, addresses)) for a, r in writes]:
            held = self.versions.setdefault(address, [])
            if not held or held[-1] != resource:
                held.append(resource)

    def _address(self, entry: Json, number: int) -> tuple[str, bool]:
        """Where the entry's resource lives, and whether it is written."""
        request = entry.get("request")
        if not request:
            raise RefusedError("an entry without a request")
        kind = entry["resource"]["resourceType"]
        path, _, query = request["url"].partition("?")
        if path != kind:
            raise RefusedError(f"{kind} is sent to {path}")
        new = f"{kind}/{len(self.versions) + number + 1}"
        condition = query if request["method"] == "PUT" else request.get("ifNoneExist", "")
        if not condition:
            return new, True
        matches = list(_search(self.versions, kind, condition))
        if len(matches) > 1:
            raise RefusedError("412: more than one resource matches")
        probe = {new: [entry["resource"]]}
        if list(_search(probe, kind, condition)) != [new]:
            raise RefusedError("the resource does not match the condition that it is found by")
        if not matches:
            return new, True
        return matches[0], request["method"] == "PUT"


def _search(versions: dict[str, list[Json]], kind: str, query: str) -> Iterator[str]:
    name, _, token = query.partition("=")
    system, _, value = unquote(token).partition("|")
    for url, held in versions.items():
        resource = held[-1]
        if name == "identifier":
            pairs = [(i.get("system"), i["value"]) for i in resource.get("identifier", [])]
        elif name == "_tag":
            tags = resource.get("meta", {}).get("tag", [])
            pairs = [(tag.get("system"), tag["code"]) for tag in tags]
        else:
            raise RefusedError(f"unknown search parameter {name}")
        if url.startswith(f"{kind}/") and (system, _unescaped(value)) in pairs:
            yield url


def _unescaped(value: str) -> str:
    for char in "$,|\\":
        value = value.replace(f"\\{char}", char)
    return value


def _linked(resource: Json, addresses: dict[str, str]) -> Json:
    """The resource with its links pointing at addresses."""
    kind = resource["resourceType"]

    def link(value: Any, name: str) -> Any:
        if isinstance(value, list):
            return [link(item, name) for item in value]
        if not isinstance(value, dict):
            return value
        if "reference" in value:
            return value | {"reference": _resolved(kind, name, value["reference"], addresses)}
        return {key: link(item, key) for key, item in value.items()}

    copy: Json = json.loads(json.dumps(resource))
    return {key: link(value, key) for key, value in copy.items()}


def _resolved(kind: str, name: str, url: str, addresses: dict[str, str]) -> str:
    if url not in addresses:
        raise RefusedError(f"{kind}.{name} points at nothing in the Bundle")
    target = addresses[url].partition("/")[0]
    if target not in TARGETS.get((kind, name), {target}):
        raise RefusedError(f"{kind}.{name} points at a {target}")
    return addresses[url]
