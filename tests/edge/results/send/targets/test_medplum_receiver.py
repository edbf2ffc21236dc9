"""Medplum's receiver takes what is sent over MLLP, in both modes of acknowledgement."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.results.formats.code_map import load_code_map
from edge.results.formats.format import Context, Format, Site
from edge.results.formats.hl7.messages import ORU, OUL
from edge.results.send.targets.attempt import Fate
from edge.results.send.targets.mllp import MllpSender, Receiver
from tests.support.npm import npm_folder
from tests.support.slides import simulated_results

SOURCE = Path(__file__).parents[4] / "support/hl7/medplum_hl7"


@contextmanager
def medplum(mode: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The receiver's port, and its process, which prints each message as a line of JSON."""
    folder = npm_folder(SOURCE)
    with subprocess.Popen(
        ["node", "server.mjs", mode], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


@pytest.mark.parametrize("mode", ["original", "enhanced"])
@pytest.mark.parametrize("form", [ORU, OUL], ids=lambda form: form.name)
def test_medplum_takes_each_message_as_it_was_written(form: Format, mode: str) -> None:
    context = Context(load_code_map(), Site())
    written = [form.write(result, context) for result in simulated_results(20, seed=31)]
    with medplum(mode) as (port, process):
        sender = MllpSender(Receiver("127.0.0.1", port, connect_s=20, answer_s=20))
        attempts = [sender.send(content) for content in written]
        sender.close()
        assert process.stdout is not None
        received = [json.loads(process.stdout.readline()) for _ in written]
    assert {attempt.fate for attempt in attempts} == {Fate.DONE}
    # It ends the last segment or not, as it likes.
    assert [text.rstrip("\r") for text in received] == [
        content.decode().rstrip("\r") for content in written
    ]
