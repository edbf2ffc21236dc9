"""Planted faults: each a change of a good Bundle that some judge must refuse."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

Json = dict[str, Any]
Fault = Callable[[Json], None]
FAULTS: Final[dict[str, Fault]] = {}


def planted(bundle: Json) -> dict[str, Json]:
    """The Bundle with each of the faults, by the fault's name."""
    broken = {}
    for name, plant in FAULTS.items():
        broken[name] = copy.deepcopy(bundle)
        plant(broken[name])
    return broken


def fault(plant: Fault) -> Fault:
    FAULTS[plant.__name__] = plant
    return plant


def first(bundle: Json, kind: str) -> Json:
    """The first resource of a kind."""
    found: Json = next(
        one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == kind
    )
    return found


def request(bundle: Json, kind: str) -> Json:
    """The request of the first entry of a kind."""
    found: Json = next(
        one["request"] for one in bundle["entry"] if one["resource"]["resourceType"] == kind
    )
    return found


@fault
def status_that_is_none(bundle: Json) -> None:
    first(bundle, "Observation")["status"] = "maybe"


@fault
def report_status_of_hl7_v2(bundle: Json) -> None:
    first(bundle, "DiagnosticReport")["status"] = "F"


@fault
def number_as_text(bundle: Json) -> None:
    quantity = first(bundle, "Observation")["valueQuantity"]
    quantity["value"] = str(quantity["value"])


@fault
def number_with_decimal_comma(bundle: Json) -> None:
    first(bundle, "Observation")["valueQuantity"]["value"] = "60,5"


@fault
def code_of_a_count_with_percent(bundle: Json) -> None:
    first(bundle, "Observation")["code"]["coding"][0]["code"] = "751-8"


@fault
def value_beside_reason_for_none(bundle: Json) -> None:
    first(bundle, "Observation")["dataAbsentReason"] = {"text": "none"}


@fault
def two_values(bundle: Json) -> None:
    first(bundle, "Observation")["valueString"] = "60 %"


@fault
def result_that_is_not_there(bundle: Json) -> None:
    link = first(bundle, "DiagnosticReport")["result"][0]
    link["reference"] = "urn:uuid:00000000-0000-4000-8000-000000000000"


@fault
def specimen_by_another_address(bundle: Json) -> None:
    first(bundle, "Observation")["specimen"]["reference"] = "Specimen/1"


@fault
def specimen_is_a_device(bundle: Json) -> None:
    one = first(bundle, "Observation")
    one["specimen"] = one["device"]


@fault
def bundle_that_asks_for_nothing(bundle: Json) -> None:
    bundle["type"] = "collection"


@fault
def entry_without_request(bundle: Json) -> None:
    del bundle["entry"][0]["request"]


@fault
def full_url_twice(bundle: Json) -> None:
    bundle["entry"][1]["fullUrl"] = bundle["entry"][0]["fullUrl"]


@fault
def no_time(bundle: Json) -> None:
    del first(bundle, "Observation")["effectiveDateTime"]


@fault
def time_without_offset(bundle: Json) -> None:
    one = first(bundle, "Observation")
    one["effectiveDateTime"] = one["effectiveDateTime"][:23]


@fault
def no_code(bundle: Json) -> None:
    del first(bundle, "Observation")["code"]


@fault
def local_code_first(bundle: Json) -> None:
    first(bundle, "Observation")["code"]["coding"].reverse()


@fault
def sample_id_second(bundle: Json) -> None:
    first(bundle, "Specimen")["identifier"][0].pop("value")


@fault
def interval_as_reference_range(bundle: Json) -> None:
    limits = {"low": {"value": 40}, "high": {"value": 60}}
    first(bundle, "Observation")["referenceRange"] = [limits]


@fault
def element_of_our_own(bundle: Json) -> None:
    first(bundle, "Observation")["interval"] = {"low": 40, "high": 60}


@fault
def unit_code_without_system(bundle: Json) -> None:
    del first(bundle, "Observation")["valueQuantity"]["system"]


@fault
def provenance_without_agent(bundle: Json) -> None:
    del first(bundle, "Provenance")["agent"]


@fault
def provenance_without_time(bundle: Json) -> None:
    del first(bundle, "Provenance")["recorded"]


@fault
def verifier_left_out(bundle: Json) -> None:
    agents = first(bundle, "Provenance")["agent"]
    agents[:] = [one for one in agents if one["type"]["coding"][0]["code"] != "verifier"]


@fault
def earlier_result_with_unknown_role(bundle: Json) -> None:
    what = {"identifier": {"value": "1"}}
    first(bundle, "Provenance")["entity"] = [{"role": "replaces", "what": what}]


@fault
def label_left_out(bundle: Json) -> None:
    del first(bundle, "Observation")["meta"]


@fault
def tag_of_a_control(bundle: Json) -> None:
    first(bundle, "Observation")["meta"]["tag"] = [{"code": "QC"}]


@fault
def status_not_the_reports(bundle: Json) -> None:
    first(bundle, "Observation")["status"] = "preliminary"


@fault
def manual_panel_while_preliminary(bundle: Json) -> None:
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] in {"DiagnosticReport", "Observation"}:
            entry["resource"]["status"] = "preliminary"


@fault
def empty_list(bundle: Json) -> None:
    first(bundle, "DiagnosticReport")["result"] = []


@fault
def control_character_in_id(bundle: Json) -> None:
    first(bundle, "Specimen")["identifier"][0]["value"] = "S1\x0023"


@fault
def name_of_device_without_kind(bundle: Json) -> None:
    del first(bundle, "Device")["deviceName"][0]["type"]
