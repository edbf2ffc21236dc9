"""Measure a bundle on this machine's GPU, step by step, within a budget of time.

    python -m tests.gpu.check --bundle NAME.edge --out figures.json

Every step is printed with its result; one that fails, hangs or ends its process does not keep the
others from running. FILE.json and FILE.md are written after each step and within the long ones, so
that a run that is cut off leaves what it found. docs/gpu/check.md describes the steps and levels.

Exit codes: 0 done, 1 a step failed, 2 wrong usage, 3 the bundle is unusable, 5 no GPU or library.
A missed target and a step that was not reached are results, not failures.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from edge.backends.trt.library import LIBRARIES, TENSORRT
from edge.errors import ConfigError, EdgeError
from edge.files import atomic
from tests.gpu.budget import NOT_REACHED, Step, StepReport, Worker, not_reached, run
from tests.gpu.child import Child
from tests.gpu.figures import markdown, verdicts
from tests.gpu.setting import ROOT, Sizes
from tests.gpu.steps.order import STEPS

BUDGET_S: Final = 360.0

OpenWorker = Callable[[dict[str, Any]], Worker]


def main(
    argv: Sequence[str] | None = None,
    *,
    steps: Sequence[Step] = STEPS,
    open_worker: OpenWorker | None = None,
) -> int:
    """Run the check; returns the exit code.

    Args:
        steps: in place of all of them; a worker in another process knows those of `order.STEPS`.
        open_worker: takes the steps, in place of another process.
    """
    start_s = time.monotonic()
    arguments = _parser().parse_args(argv)
    try:
        _require_place(arguments.out)
        chosen = _chosen(steps, arguments.steps)
        with _worker(arguments, open_worker) as worker:
            left_s = arguments.budget - (time.monotonic() - start_s)
            reports = run(chosen, worker, left_s, lambda r: _tell(r, arguments.out))
    except EdgeError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    _conclude(reports)
    return 1 if any(report.state == "failed" for report in reports) else 0


@contextmanager
def _worker(arguments: argparse.Namespace, open_worker: OpenWorker | None) -> Iterator[Worker]:
    """Something that takes the steps, and a folder for them that is gone afterwards.

    Raises:
        BackendError: no library, driver, GPU or pycuda.
        BundleError: the bundle is unusable.
    """
    out = arguments.out.resolve()
    scratch = (arguments.scratch or out.with_suffix(".scratch")).resolve()
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=scratch) as work:
        facts = {
            "bundle": str(arguments.bundle.resolve()),
            "library": arguments.library,
            "work": work,
            "engines": str(scratch / "engines"),
            "data": str(arguments.data.resolve()) if arguments.data else None,
            "torch_python": arguments.torch_python,
            "sizes": asdict(Sizes(arguments.images, arguments.rounds, arguments.calls)),
        }
        if open_worker is not None:
            yield open_worker(facts)
            return
        path = Path(work) / "arguments.json"
        path.write_text(json.dumps(facts))
        child = Child(path, out.with_suffix(".log"))
        try:
            child.start()
            yield child
        finally:
            child.close()


def _chosen(steps: Sequence[Step], names: str | None) -> Sequence[Step]:
    if names is None:
        return steps
    wanted = [name.strip() for name in names.split(",")]
    known = [step.name for step in steps]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(
            f"--steps: there is no step {unknown[0]!r}; choose of {', '.join(known)}."
        )
    return [step for step in steps if step.name in wanted]


def _tell(reports: list[StepReport], out: Path) -> None:
    """Keep everything so far, and print a step that is done."""
    last = reports[-1]
    if last.state not in ("running", NOT_REACHED):
        _say(f"{last.name}: {last.state} ({last.seconds:.1f} s)")
        for line in (*last.lines, *([last.reason] if last.reason else [])):
            _say(f"  {line}")
    _write(reports, out)


def _conclude(reports: list[StepReport]) -> None:
    _say("")
    for target, verdict in _verdicts(reports).items():
        _say(f"{target}: {verdict}")
    _say(f"\n{markdown([asdict(report) for report in reports])}")
    missing = not_reached(reports)
    if missing:
        _say(missing)


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
    parser.add_argument(
        "--budget", type=float, default=BUDGET_S, metavar="S", help=f"seconds ({BUDGET_S:.0f})"
    )
    parser.add_argument("--steps", metavar="A,B", help="these steps alone")
    parser.add_argument(
        "--scratch",
        type=Path,
        metavar="DIR",
        help="engines, which a later run takes, and temporary files (beside FILE.json)",
    )
    sizes = Sizes()
    parser.add_argument("--images", type=int, default=sizes.images, help="images end to end")
    parser.add_argument("--rounds", type=int, default=sizes.rounds, help="turns of 5 calls each")
    parser.add_argument("--calls", type=int, default=sizes.calls, help="for the memory")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
