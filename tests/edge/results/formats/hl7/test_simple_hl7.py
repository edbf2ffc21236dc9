from __future__ import annotations

import pytest

from edge.results.formats.format import Context, Format
from edge.results.formats.hl7.messages import ORU, OUL
from tests.support.hl7.expected import expected_values
from tests.support.hl7.judges import read_by_simple_hl7
from tests.support.slides import simulated_results


@pytest.mark.parametrize("form", [ORU, OUL], ids=lambda form: form.name)
def test_message_read_by_simple_hl7_has_id_sample_and_values(
    form: Format, context: Context
) -> None:
    results = list(simulated_results(100, seed=21))
    read = read_by_simple_hl7([form.write(result, context) for result in results])
    assert len(read) == len(results)
    for result, found in zip(results, read, strict=True):
        assert (found.control_id, found.sample) == (result.result_id, result.sample_id)
        # It does not unescape: texts are left to other judges.
        numbers = {
            code: value
            for code, value in expected_values(result, context.codes).items()
            if not isinstance(value, str)
        }
        assert {c: float(v) for c, v in found.values.items() if found.units[c]} == numbers
