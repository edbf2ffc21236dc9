from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge.results.formats.format import Context, Format
from edge.results.formats.hl7.messages import ORU, OUL
from tests.support.hl7.expected import expected_values
from tests.support.npm import npm_folder
from tests.support.slides import simulated_results

SOURCE = Path(__file__).parents[4] / "support/hl7/simple_hl7"


def read_by_simple_hl7(messages: list[str]) -> Any:
    done = subprocess.run(
        ["node", "read.js"],
        cwd=npm_folder(SOURCE),
        input=json.dumps(messages),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("form", [ORU, OUL], ids=lambda form: form.name)
def test_message_read_by_simple_hl7_has_id_sample_and_values(
    form: Format, context: Context
) -> None:
    results = list(simulated_results(100, seed=21))
    read = read_by_simple_hl7([form.write(result, context).decode() for result in results])
    assert len(read) == len(results)
    for result, found in zip(results, read, strict=True):
        assert (found["id"], found["sample"]) == (result.result_id, result.sample_id)
        # It does not unescape: texts are left to other judges.
        numbers = {
            code: value
            for code, value in expected_values(result, context.codes).items()
            if not isinstance(value, str)
        }
        assert {code: float(value) for code, value, unit, _ in found["rows"] if unit} == numbers
