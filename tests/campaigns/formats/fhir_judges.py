"""The judges of Bundles: three libraries, and models of their receivers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from typing import Final

from tests.campaigns.formats.reading import LOINC, Judge, Reading, each, reading_of
from tests.support.fhir import openelis as fhir_openelis
from tests.support.fhir import reader as fhir_reader
from tests.support.fhir.libraries import node_refusals, resources_refusals
from tests.support.fhir.server import RefusedError, Server


def fhir_model(content: bytes) -> Reading:
    """A laboratory's reader, modelled."""
    try:
        found = fhir_reader.read(json.loads(content))
    except fhir_reader.RefusedError as error:
        return Reading(refused=str(error))
    rows = [(found.sample_id, c, one.value) for c, one in found.values.items() if c in LOINC]
    return reading_of(rows, LOINC)


def fhir_staging(content: bytes) -> Reading:
    """OpenELIS' import of Bundles, modelled."""
    try:
        found = fhir_openelis.read(json.loads(content))
    except fhir_openelis.RefusedError as error:
        return Reading(refused=str(error))
    rows = [(row.accession, row.test, row.result) for row in found if row.test in LOINC]
    return reading_of(rows, LOINC)


def fhir_server(content: bytes) -> Reading:
    """A general server that carries the transaction out, modelled."""
    try:
        Server().post(json.loads(content))
    except RefusedError as error:
        return Reading(refused=str(error))
    return Reading()


def fhir_resources(content: bytes) -> Reading:
    """The structure, as fhir.resources knows it."""
    return Reading(refused="; ".join(resources_refusals(json.loads(content))))


def fhir_node(contents: Sequence[bytes]) -> list[Reading]:
    """Medplum's validator and `fhir`'s."""
    answers = node_refusals(json.loads(content) for content in contents)
    return [Reading(refused="; ".join(chain.from_iterable(answer.values()))) for answer in answers]


OF_BUNDLES: Final = (
    Judge("laboratory's reader (model)", each(fhir_model)),
    Judge("general server (model)", each(fhir_server), reads_values=False),
    Judge("fhir.resources", each(fhir_resources), reads_values=False),
    Judge("Medplum's and fhir of npm", fhir_node, is_slow=True, reads_values=False),
)
OF_OPENELIS_BUNDLES: Final = Judge("OpenELIS' import (model)", each(fhir_staging))
