"""Whether the corrections of results replace the values in OpenELIS' staging (a model)."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge.results.document.result import SlideResult, State
from edge.results.formats.files.openelis import OPENELIS
from edge.results.formats.files.openelis_profile import openelis_profile
from edge.results.formats.observed import observed
from tests.campaigns.formats.reading import CONTEXT
from tests.support.importers.openelis import Staging, running_bridge


def lost_corrections(results: Sequence[SlideResult]) -> int:
    """Values of corrections that are not the last ones of their sample and test.

    Staged are final and corrected results, as by default: a value that returns to an earlier one,
    as over preliminary, final and corrected, is lost while the first is staged (docs/lis.md).
    """
    verified = [one for one in results if one.state is not State.PRELIMINARY]
    staging = Staging()
    profile = json.loads(openelis_profile(CONTEXT.codes))
    with tempfile.TemporaryDirectory() as made, running_bridge(profile) as bridge:
        for number, result in enumerate(verified):
            content = OPENELIS.write(result, CONTEXT)
            (Path(made) / f"{number:06}.csv").write_bytes(content)
        for file in bridge.read(Path(made)):
            for row in file.rows:
                staging.insert(row)
    return sum(
        staging.current(result.sample_id, one.code.loinc).value != one.text
        for result in verified
        if result.state is State.CORRECTED
        for one in observed(result, CONTEXT.codes)
    )
