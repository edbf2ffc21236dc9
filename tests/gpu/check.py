"""Measure a bundle on this machine's GPU, step by step.

    python -m tests.gpu.check --bundle NAME.edge --out figures.json

Every step is printed with its result; a step that fails does not keep the others from running.
FILE.json and FILE.md are written after each step, so that a run that is cut off leaves what it
found. docs/gpu.md says what the steps and levels mean.

Exit codes: 0 done, 1 a step failed, 2 wrong usage, 3 the bundle is unusable, 5 no GPU or library.
A missed target is a result, not a failure.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from edge import atomic
from edge.backends.cuda import Device
from edge.backends.gpu import find_machine
from edge.backends.trt_library import LIBRARIES, TENSORRT, open_library
from edge.bundle import load_bundle
from edge.errors import ConfigError, EdgeError
from tests.gpu import endurance, engines, latency, peer, service
from tests.gpu.endurance import ROOT
from tests.gpu.figures import markdown, verdicts
from tests.gpu.kit import bind_lazily_in_kit
from tests.gpu.setting import Found, Setting, SkippedError

Step = Callable[[Setting], Found]
Say = Callable[[str], None]


def _wrong_tensor(setting: Setting) -> Found:
    # The one step that needs onnx, which a machine with a GPU may lack.
    try:
        from tests.gpu.wrong_tensor import wrong_tensor
    except ImportError as error:
        raise SkippedError(f"{error.name} is not installed") from error
    return wrong_tensor(setting)


STEPS: Final[dict[str, Step]] = {
    "device": engines.device,
    "engines": engines.build,
    "golden images": engines.golden,
    "wrong tensor": _wrong_tensor,
    "accuracy": engines.accuracy,
    "levels": latency.levels,
    "batch sweep": latency.sweep,
    "stream": service.stream,
    "torch": peer.against_torch,
    "throughput": endurance.throughput,
    "memory": endurance.memory,
    "killed process": service.killed,
    "lost context": service.lost_context,
}
MEMORY_CALLS: Final = 2000


@dataclass(slots=True)
class StepReport:
    """What became of one step: `ok`, `failed` or `skipped`."""

    name: str
    state: str
    reason: str | None
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


def main(argv: Sequence[str] | None = None, *, steps: dict[str, Step] | None = None) -> int:
    """Run the check; returns the exit code.

    Args:
        steps: in place of all of them.
    """
    arguments = _parser().parse_args(argv)
    bind_lazily_in_kit()
    try:
        _require_place(arguments.out)
        with tempfile.TemporaryDirectory(prefix=".gpu-check-", dir=arguments.out.parent) as work:
            setting = _open(arguments, Path(work).resolve())
            reports = run(steps or STEPS, setting, arguments.out, _say)
    except EdgeError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 1 if any(report.state == "failed" for report in reports) else 0


def run(steps: dict[str, Step], setting: Setting, out: Path, say: Say) -> list[StepReport]:
    """Run the steps in order, write the figures after each, and say the verdicts at the end."""
    reports: list[StepReport] = []
    for name, step in steps.items():
        report = _take(name, step, setting)
        reports.append(report)
        say(f"{name}: {report.state} ({report.seconds:.1f} s)")
        for line in (*report.lines, *([report.reason] if report.reason else [])):
            say(f"  {line}")
        _write(reports, out)
    say("")
    for target, verdict in _verdicts(reports).items():
        say(f"{target}: {verdict}")
    say(f"\n{markdown([asdict(report) for report in reports])}")
    return reports


def _take(name: str, step: Step, setting: Setting) -> StepReport:
    start = time.monotonic()

    def report(state: str, reason: str | None, found: Found | None = None) -> StepReport:
        seconds, found = round(time.monotonic() - start, 1), found or Found({})
        return StepReport(name, state, reason, seconds, found.figures, found.lines)

    try:
        found = step(setting)
    except SkippedError as skipped:
        return report("skipped", str(skipped))
    except EdgeError as error:
        return report("failed", str(error))
    # The libraries raise what they like, and the next step may still tell something.
    except Exception as error:  # noqa: BLE001
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return report("failed", f"{type(error).__name__} at {where}: {error}")
    return report("failed" if found.problem else "ok", found.problem, found)


def _open(arguments: argparse.Namespace, work: Path) -> Setting:
    """Everything without which there is nothing to check.

    Raises:
        BackendError: no library, driver, GPU or pycuda.
        BundleError: the bundle is unusable.
    """
    library, machine = open_library(arguments.library), find_machine()
    Device().close()
    return Setting(
        bundle=load_bundle(arguments.bundle),
        library=library,
        machine=machine,
        work=work,
        data=arguments.data,
        torch_python=arguments.torch_python,
        images=arguments.images,
        rounds=arguments.rounds,
        calls=arguments.calls,
    )


def _require_place(out: Path) -> None:
    """Figures get into the documentation by a person's hand, who has read them."""
    if out.resolve().is_relative_to(ROOT / "docs"):
        raise ConfigError(f"--out {out} lies in docs; give a file elsewhere and copy what holds.")
    if not out.parent.is_dir():
        raise ConfigError(f"--out: {out.parent} is no folder; make it first.")


def _verdicts(reports: list[StepReport]) -> dict[str, str]:
    return verdicts({report.name: report.figures for report in reports})


def _write(reports: list[StepReport], out: Path) -> None:
    steps = [asdict(report) for report in reports]
    content = {"schema": "edge-gpu-check/1", "targets": _verdicts(reports), "steps": steps}
    atomic.write_file(out, _json(content))
    atomic.write_file(out.with_suffix(".md"), markdown(steps).encode())


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, default=str) + "\n").encode()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.check", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, metavar="NAME.edge")
    parser.add_argument("--library", choices=LIBRARIES, default=TENSORRT)
    parser.add_argument("--data", type=Path, metavar="DIR", help="with test/CLASS/*.jpg")
    parser.add_argument("--torch-python", metavar="PYTHON", help="an interpreter with torch")
    parser.add_argument("--images", type=int, default=10_000, help="images end to end (10000)")
    parser.add_argument("--rounds", type=int, default=200, help="of 5 calls of each function (200)")
    parser.add_argument(
        "--calls", type=int, default=MEMORY_CALLS, help=f"for the memory ({MEMORY_CALLS})"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
