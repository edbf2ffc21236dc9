"""What a Bundle is made from, and what all of its resources share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha1
from typing import Final
from uuid import NAMESPACE_URL

from edge.results.document.result import SlideResult
from edge.results.formats.codes import Analyte, Code
from edge.results.formats.fhir.elements import RESULT, TERMINOLOGY, Json, coding
from edge.results.formats.format import Context
from edge.text.rfc3339 import rfc3339

_URLS: Final = sha1(NAMESPACE_URL.bytes, usedforsecurity=False)
_VARIANTS: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


class Receiver(StrEnum):
    """Who takes the Bundle; the value is the format's name."""

    OPENELIS = "fhir-openelis"
    SERVER = "fhir"


@dataclass(frozen=True, slots=True)
class Source:
    """A result on its way into a Bundle.

    Attributes:
        slide_key: of the result, computed once; so is `result_id`.
        urls: fullUrls by part, filled as they are asked for.
    """

    result: SlideResult
    context: Context
    receiver: Receiver
    slide_key: str
    result_id: str
    urls: dict[str, str] = field(default_factory=dict)

    def url(self, part: str) -> str:
        """The fullUrl of a part of the Bundle: the same in every Bundle of the result."""
        if part not in self.urls:
            self.urls[part] = f"urn:uuid:{uuid5_text(f'{RESULT}:{self.result_id}:{part}')}"
        return self.urls[part]

    def reference(self, part: str) -> Json:
        """A Reference to a part of the Bundle."""
        return {"reference": self.url(part)}

    def code(self, analyte: Analyte) -> Code | None:
        """The code for the result's state; None if the site does not report the analyte."""
        return self.context.codes.code(analyte, self.result.state)

    @property
    def completed(self) -> str:
        """When the result was completed."""
        return rfc3339(self.result.completed)

    @property
    def effective(self) -> str:
        """`effectiveDateTime`: in FHIR, when the sample was taken; OpenELIS reads it as completion.

        Its staging tells a correction from a copy by this time.
        """
        taken = self.result.collected
        if self.receiver is Receiver.OPENELIS or taken is None:
            return self.completed
        return rfc3339(taken)

    def labels(self) -> Json:
        """`meta` with the security labels.

        AI Transparency on FHIR (ballot of January 2026) labels what a model had a part in, whoever
        looked at it later. So a verified result keeps AIAST and gets HCPAST beside it.
        """
        system = f"{TERMINOLOGY}/v3-ObservationValue"
        security = [coding(system, "AIAST", "Artificial Intelligence asserted")]
        if self.result.verification is not None:
            security.append(coding(system, "HCPAST", "healthcare professional asserted"))
        return {"security": security}

    def laboratory(self) -> list[Json]:
        """`performer`: who sends."""
        facility = self.context.site.facility
        return [{"type": "Organization", "display": facility}] if facility else []


def source(result: SlideResult, context: Context, receiver: Receiver) -> Source:
    """The source of a Bundle."""
    return Source(result, context, receiver, result.slide_key, result.result_id)


def uuid5_text(name: str) -> str:
    """The text of `uuid.uuid5(NAMESPACE_URL, name)`, made without its slow object."""
    hashed = _URLS.copy()
    hashed.update(name.encode())
    text = hashed.hexdigest()
    # Version 5, and the variant of RFC 4122 in the two highest bits (its section 4.3).
    clock = _VARIANTS[text[16]] + text[17:20]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{clock}-{text[20:32]}"
