"""`edge-convert` as a person runs it: in a process of its own, judged by what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.bundle import load_bundle
from edge.errors import WITHOUT_INT8, ModelError
from tests.networks.formats import Written

# Of the RTX generations that `tensorrt-rtx` builds for without a GPU.
ENGINE: Final = "tensorrt-rtx:sm86,sm89,sm120"
_LIBRARY: Final = ENGINE.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides a row besides its network and format."""

    data: Path
    calibration_images: int
    validation_per_class: int
    test_per_class: int
    max_drop_points: float
    limit_s: float


@dataclass(frozen=True, slots=True)
class Conversion:
    """How long it took, and the graphs that the bundle lacks, with the reasons."""

    minutes: float
    missing: list[str]


def convert(
    written: Written, card: Path, images: Path, bundle: Path, settings: Settings
) -> Conversion:
    """Convert to INT8.

    Args:
        images: a folder with `calibration/` and `validation/CLASS/`.

    Raises:
        ModelError: what edge-convert said.
    """
    start = time.monotonic()
    arguments = [str(written.model), "--card", str(card), "--int8", "--out", str(bundle)]
    arguments += ["--overwrite", "--no-cache", *written.flags]
    arguments += ["--calibration", str(images / "calibration")]
    arguments += ["--validation", str(images / "validation")]
    arguments += ["--max-drop", str(settings.max_drop_points)]
    said = _edge_convert(arguments, bundle.with_suffix(".log"), settings.limit_s)
    return Conversion((time.monotonic() - start) / 60, missing_graphs(said))


def missing_graphs(said: str) -> list[str]:
    """The report's lines on graphs that were not made or refused."""
    lines = [line.removeprefix("warning: ") for line in said.splitlines()]
    return [line for line in lines if line.startswith(("no INT8 graph for", "no FP16 graph for"))]


def engine_verdict(bundle: Path, settings: Settings) -> str:
    """Whether the INT8 engine can be built: `yes`, `no: REASON`, or that there is no library."""
    if not any("int8.trt" in a.path for a in load_bundle(bundle).artefacts):
        return "no INT8 graph for it"
    log = bundle.with_suffix(".engine.log")
    try:
        said = _edge_convert([str(bundle), "--engine", ENGINE], log, settings.limit_s)
    except ModelError as error:
        return f"no: {error}"
    if load_bundle(bundle).engines(_LIBRARY, "int8"):
        return "yes"
    refused = [line for line in said.splitlines() if line.startswith("warning:")]
    return f"no: {refused[0] if refused else 'no reason given'}"


def _edge_convert(arguments: list[str], log: Path, limit_s: float) -> str:
    """What it printed; all of it is kept in `log`."""
    # The rows share the cores, each of them one.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "converters.cli", *arguments]
    with log.open("w") as errors:
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"not finished after {limit_s / 60:.0f} minutes") from error
    said = log.read_text()
    log.write_text(said + done.stdout)
    if done.returncode not in (0, WITHOUT_INT8):
        raise ModelError(f"exit {done.returncode}: {reason_in(said)}")
    return done.stdout


def reason_in(said: str) -> str:
    """The line that says what went wrong, else the last one."""
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or ["nothing was said"])[-1]
