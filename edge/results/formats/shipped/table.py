"""All formats by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from edge.results.formats.fhir.form import FHIR, FHIR_OPENELIS
from edge.results.formats.files.document import JSON
from edge.results.formats.files.generic import GENERIC
from edge.results.formats.files.gnuhealth import GNU_HEALTH
from edge.results.formats.files.openelis import OPENELIS
from edge.results.formats.files.senaite import SENAITE
from edge.results.formats.format import Format
from edge.results.formats.hl7.messages import ORU, OUL

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        one.name: one
        for one in (OPENELIS, SENAITE, GNU_HEALTH, GENERIC, JSON, ORU, OUL, FHIR, FHIR_OPENELIS)
    }
)
