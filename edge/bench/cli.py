"""`edge-bench`: latency of a bundle on this machine, stage by stage."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from edge.backends.names import BACKENDS
from edge.backends.opening import Opening
from edge.backends.select import open_sessions
from edge.bench.machine.environment import Environment, environment
from edge.bench.report import Report, service_report, stages_report, stream_report
from edge.bench.service import measure_service
from edge.bench.stages import measure_stages
from edge.bench.stream import DaemonStart, measure_stream
from edge.bundle import Bundle, load_bundle
from edge.command.parser import CommandParser, add_common_options
from edge.command.progress import Progress, StepProgress
from edge.command.run import run_command
from edge.command.values import given_path
from edge.demo.analyzer import drawn_images
from edge.errors import ConfigError
from edge.files import atomic
from edge.image_folders.walk import find_images
from edge.session import InferenceSession
from edge.text.counted import counted

_DRAWN_COUNT = 64
_DRAWN_SEED = 11
_MOST = 1_000_000
_MOST_BATCH = 4096


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), debug=arguments.debug, tidies_up=True)


def _run(arguments: argparse.Namespace) -> None:
    _check(arguments)
    bundle = load_bundle(arguments.bundle)
    facts = environment()
    measure = _measure_stages
    if arguments.daemon:
        measure = _measure_service
    elif arguments.stream:
        measure = _measure_stream
    with tempfile.TemporaryDirectory(prefix=".edge-bench-", dir=arguments.output) as folder:
        images = _images(arguments.images, Path(folder))
        print(_heading(bundle, facts, arguments, len(images)), file=sys.stderr)
        found = measure(bundle, images, Path(folder), arguments)
    print(found.text)
    if arguments.json:
        content = json.dumps(found.to_dict(bundle, facts.to_dict()), indent=1) + "\n"
        atomic.write_file(arguments.json, content.encode())


def _check(arguments: argparse.Namespace) -> None:
    for name in ("rounds", "threads", "seconds", "stream"):
        value = getattr(arguments, name)
        if value is not None and not 1 <= value <= _MOST:
            raise ConfigError(f"--{name} is {value}; give 1 to {_MOST}.")
    for name, folder in (("output", arguments.output), ("json", arguments.json)):
        place = folder.parent if name == "json" and folder else folder
        if place is not None and not place.is_dir():
            raise ConfigError(f"--{name}: {place} is no folder; make it first.")


def _measure_stages(
    bundle: Bundle, images: list[Path], scratch: Path, arguments: argparse.Namespace
) -> Report:
    sessions = _open_sessions(bundle, arguments)
    output = scratch / "sidecars"
    output.mkdir()
    with Progress("measuring rounds", sys.stderr) as progress:
        results = measure_stages(
            bundle,
            sessions,
            images,
            output,
            arguments.rounds,
            batches=arguments.batches,
            on_round=progress.update,
        )
    settings = {
        "rounds": arguments.rounds,
        "threads": arguments.threads,
        "images": len(images),
        "batch": 1,
        "batches": list(arguments.batches),
    }
    return stages_report(results, settings)


def _measure_service(
    bundle: Bundle, images: list[Path], scratch: Path, arguments: argparse.Namespace
) -> Report:
    with Progress("rounds", sys.stderr) as progress:
        results = measure_service(
            bundle,
            images,
            scratch / "service",
            threads=arguments.threads,
            on_round=progress.update,
        )
    return service_report(results)


def _measure_stream(
    bundle: Bundle, images: list[Path], scratch: Path, arguments: argparse.Namespace
) -> Report:
    with Progress("images", sys.stderr) as progress:
        results = measure_stream(
            bundle,
            images,
            scratch / "stream",
            per_second=arguments.stream,
            count=round(arguments.stream * arguments.seconds),
            on_image=progress.update,
            daemon=DaemonStart(settings={"backend": arguments.backend}),
        )
    return stream_report(results)


def _open_sessions(bundle: Bundle, arguments: argparse.Namespace) -> list[InferenceSession]:
    with StepProgress(sys.stderr) as progress:
        opening = Opening(
            threads=arguments.threads,
            on_choice=lambda text: print(text, file=sys.stderr),
            on_progress=progress.update,
        )
        sessions = open_sessions(bundle, backend=arguments.backend, precision=None, opening=opening)
    return list(sessions.values())


def _images(folder: Path | None, scratch: Path) -> list[Path]:
    if folder is None:
        return _draw(scratch)
    paths = find_images(folder).paths
    if not paths:
        raise ConfigError(f"{folder} holds no .jpg or .png images; give a folder with some.")
    return paths


def _draw(scratch: Path) -> list[Path]:
    paths = []
    for number, (_, content) in enumerate(drawn_images(_DRAWN_COUNT, _DRAWN_SEED)):
        path = scratch / f"{number:04}.jpg"
        atomic.write_file(path, content)
        paths.append(path)
    return paths


def _heading(bundle: Bundle, facts: Environment, arguments: argparse.Namespace, count: int) -> str:
    source = arguments.images or "drawn cells"
    instructions = " ".join(facts.int8_instructions) or "none"
    return (
        f"{bundle.name} {bundle.version}, {count} images ({source}), batch 1, "
        f"{counted(arguments.threads, 'thread')} in inference\n"
        f"{facts.cpu}, {facts.cores} cores, INT8 instructions: {instructions}, "
        f"ONNX Runtime {facts.packages['onnxruntime']}"
    )


def _batches(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = (0,)
    if not 1 <= min(found) <= max(found) <= _MOST_BATCH:
        raise argparse.ArgumentTypeError(
            f"{text!r}; give whole numbers from 1 to {_MOST_BATCH}, such as 1,8,16"
        )
    return found


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = CommandParser(
        prog="edge-bench",
        description="Measure the latency of a bundle on this machine, stage by stage.",
    )
    add_common_options(parser)
    parser.add_argument("bundle", type=given_path, help="folder NAME.edge")
    parser.add_argument(
        "--images", type=given_path, metavar="DIR", help="images (default: drawn cells)"
    )
    parser.add_argument(
        "--rounds", type=int, default=60, help="rounds of 5 timed calls per stage (60)"
    )
    parser.add_argument(
        "--batches",
        type=_batches,
        default=(),
        metavar="N,N...",
        help="measure inference of these batches too",
    )
    parser.add_argument("--threads", type=int, default=1, help="threads inside one inference (1)")
    text = "what runs the model (default: %(default)s)"
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help=text)
    parser.add_argument(
        "--daemon",
        action="store_true",
        help="compare `edge-daemon once` with a plain loop, in images per second",
    )
    parser.add_argument(
        "--stream",
        type=float,
        metavar="RATE",
        help="measure the time from file to sidecar in a running service, at RATE images per s",
    )
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="how long --stream goes on (30)"
    )
    parser.add_argument(
        "--output", type=given_path, default=Path(), help="folder on the disk for sidecars (here)"
    )
    parser.add_argument(
        "--json", type=given_path, metavar="FILE", help="write the result as JSON too"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
