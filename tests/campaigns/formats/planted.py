"""The faults that the tests plant, by format, and whether a judge notices each."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge.results.document.result import SlideResult, State
from edge.results.formats.fhir.form import FHIR_OPENELIS
from edge.results.formats.files.openelis import OPENELIS
from edge.results.formats.files.openelis_profile import openelis_profile
from edge.results.formats.files.senaite import SENAITE
from edge.results.formats.format import Format
from edge.results.formats.hl7.messages import ORU, OUL
from tests.campaigns.formats.judges import JUDGES
from tests.campaigns.formats.reading import CONTEXT, Judge
from tests.support.fhir.faults import planted as planted_bundles
from tests.support.hl7.faults import FAULTS, OF_ORU, OF_OUL, planted
from tests.support.hl7.validator import faults
from tests.support.importers.openelis import running_bridge
from tests.support.importers.openelis_faults import openelis_faults
from tests.support.importers.senaite import READERS
from tests.support.importers.senaite_faults import senaite_faults
from tests.support.slides import simulated_results

# Whether each fault is refused, or changes what the importer reads.
Outcomes = dict[str, bool]


def planted_faults() -> dict[str, Outcomes]:
    """By the format's name."""
    return {
        "openelis": of_openelis(),
        "senaite": of_senaite(),
        "hl7-oru": of_hl7(ORU),
        "hl7-oul": of_hl7(OUL),
        "fhir-openelis": of_fhir(),
    }


def of_openelis() -> Outcomes:
    """commons-csv with the bridge's settings."""
    result = _slide_in(State.FINAL)
    good = OPENELIS.write(result, CONTEXT)
    profile = json.loads(openelis_profile(CONTEXT.codes))
    outcomes = {}
    with tempfile.TemporaryDirectory() as made, running_bridge(profile) as bridge:
        file = Path(made) / "0001.csv"
        file.write_bytes(good)
        (whole,) = bridge.read(file.parent)
        for name, fault in openelis_faults(result).items():
            file.write_bytes(fault(good))
            (broken,) = bridge.read(file.parent)
            outcomes[name] = broken != whole
    return outcomes


def of_senaite() -> Outcomes:
    """The models of SENAITE's readers."""
    result = _slide_in(State.FINAL)
    good = SENAITE.write(result, CONTEXT).decode()
    outcomes = {}
    for name, fault in senaite_faults(result.sample_id).items():
        pairs = [(read(fault(good).encode()), read(good.encode())) for read in READERS.values()]
        outcomes[name] = any(one.errors or str(one) != str(other) for one, other in pairs)
    return outcomes


def of_hl7(form: Format) -> Outcomes:
    """The own validator, which the tests show to be stricter than hl7apy."""
    chosen = FAULTS | (OF_ORU if form is ORU else OF_OUL)
    messages = {state: form.write(_slide_in(state), CONTEXT) for state in State}
    assert not any(faults(message) for message in messages.values())
    return {
        name: bool(faults(planted(messages[state], fault)))
        for name, (state, fault) in chosen.items()
    }


def of_fhir() -> Outcomes:
    """All judges of Bundles together."""
    good = json.loads(FHIR_OPENELIS.write(_slide_in(State.FINAL), CONTEXT))
    broken = planted_bundles(good)
    outcomes = dict.fromkeys(broken, False)
    contents = [json.dumps(bundle).encode() for bundle in broken.values()]
    for judge in JUDGES[FHIR_OPENELIS.name]:
        for name, is_refused in zip(broken, _refusals(judge, contents), strict=True):
            outcomes[name] |= is_refused
    return outcomes


def _refusals(judge: Judge, contents: Sequence[bytes]) -> list[bool]:
    # The slow ones start a process, and fail at nothing.
    if judge.is_slow:
        return [bool(one.refused) for one in judge.read(contents)]
    return [_is_refused(judge, content) for content in contents]


def _is_refused(judge: Judge, content: bytes) -> bool:
    try:
        return bool(judge.read([content])[0].refused)
    except (KeyError, TypeError, ValueError):
        # A model of a program, which would fail as well.
        return True


def _slide_in(state: State) -> SlideResult:
    return next(
        result
        for result in simulated_results(100, seed=20)
        if result.state is state and result.slide_id and result.differential.wbc
    )
