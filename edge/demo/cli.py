"""`python -m edge.demo`: convert a model, label exported cells, show a slide, review it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edge.command.parser import CommandParser, add_version
from edge.command.progress import Progress
from edge.command.run import run_command
from edge.command.values import given_path, whole_number
from edge.demo import run
from edge.demo.analyzer import drawn_images, images_in_folder
from edge.demo.drawing.cells import CLASSES
from edge.demo.drawing.sheet import contact_sheet
from edge.demo.review import newest_workspace, run_page, running_sender, write_results_config
from edge.demo.slide import largest_slide, write_files
from edge.errors import ConfigError
from edge.files import atomic
from edge.results.commands.slides.slide_text import slide_text
from edge.text.counted import counted

_DRAWN_COUNT = 200


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), tidies_up=True)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.sheet:
        atomic.write_file(arguments.sheet, contact_sheet(arguments.seed))
        return 0
    if arguments.review:
        return _review(arguments)
    return _demonstrate(arguments)


def _review(arguments: argparse.Namespace) -> int:
    """The page on the last demonstration; runs one first if there is none."""
    workspace = newest_workspace(arguments.out)
    if workspace is None:
        if code := _demonstrate(arguments):
            return code
        workspace = newest_workspace(arguments.out)
    if workspace is None:
        raise ConfigError(f"{arguments.out} has no labelled images; see the lines above.")
    config = write_results_config(workspace)
    print(f"5. edge-results send --config {config} --watch")
    print(f"6. edge-results review --config {config}", flush=True)
    with running_sender(config, workspace.root / "edge-results-send.log"):
        options = ["--no-browser"] if arguments.no_browser else []
        code = run_page(config, *options)
    files = sorted((workspace.root / "signed").glob("*"))
    print(f"\nsigned results for the LIS, under {workspace.root / 'signed'}: {len(files)}")
    return code


def _demonstrate(arguments: argparse.Namespace) -> int:
    if arguments.model is None:
        raise ConfigError("--model is missing; give the model to convert.")
    workspace = run.Workspace((arguments.out / time.strftime("%Y%m%d-%H%M%S")).resolve())
    images, total = _images(arguments)
    workspace.root.mkdir(parents=True)
    print(f"1. edge-convert {arguments.model.name} --int8", flush=True)
    run.convert(arguments.model, workspace)
    run.write_config(workspace)
    print(f"\n2. edge-daemon run --config {workspace.config}", flush=True)
    with run.running_daemon(workspace) as daemon:
        print("3. a simulated analyzer exports images", flush=True)
        with Progress("labelled", sys.stderr) as progress:
            labelled = run.export_and_follow(
                images,
                total,
                workspace,
                daemon,
                seed=arguments.seed,
                on_labelled=progress.update,
            )
    print()
    print(_label_table(labelled))
    print(_latency_table(labelled))
    print(_locations(labelled, workspace))
    result = largest_slide(workspace)
    if result:
        shown = slide_text(result, f"{result.state}, no person verified it")
        print(f"\n4. edge-results show\n\n{shown}\n")
        print(write_files(result, workspace.lis))
        program = Path(os.path.relpath(Path(sys.executable).parent / "edge-results"))
        print(f"\nall slides: {program} show {workspace.export}")
        print("look at the cells, correct and sign: make review")
    return 0 if all(one.sidecar for one in labelled) else 1


def _images(
    arguments: argparse.Namespace,
) -> tuple[Iterable[tuple[str | None, bytes]], int | None]:
    if arguments.images is None:
        count = arguments.count or _DRAWN_COUNT
        return drawn_images(count, arguments.seed), count
    if not arguments.images.is_dir():
        raise ConfigError(f"{arguments.images} is no folder; give one with JPEG or PNG images.")
    images = list(images_in_folder(arguments.images, arguments.count))
    if not images:
        raise ConfigError(f"{arguments.images} holds no JPEG or PNG images; give another folder.")
    return images, len(images)


def _label_table(labelled: list[run.LabelledExport]) -> str:
    counts = run.label_counts(labelled)
    rows = [name for name in (*CLASSES, "own images") if any(row == name for row, _ in counts)]
    others = sorted({column for _, column in counts} - set(CLASSES))
    columns = [name for name in (*CLASSES, *others) if any(c == name for _, c in counts)]
    widths = [max(len(column), 5) + 2 for column in columns]
    lines = ["labels (rows: the drawn class, columns: the daemon's label)"]
    lines.append(" " * 13 + "".join(f"{c:>{w}}" for c, w in zip(columns, widths, strict=True)))
    for row in rows:
        cells = [counts.get((row, column), 0) for column in columns]
        text = "".join(f"{n or '.':>{w}}" for n, w in zip(cells, widths, strict=True))
        lines.append(f"{row:13}{text}")
    right = sum(counts.get((name, name), 0) for name in CLASSES)
    known = sum(n for (row, _), n in counts.items() if row != "own images")
    if known:
        lines.append(f"{right} of {known} drawn cells got the class that was drawn")
    return "\n".join(lines) + "\n"


def _latency_table(labelled: list[run.LabelledExport]) -> str:
    lines = [f"{'milliseconds':28}{'p50':>8}{'p90':>8}{'p99':>8}"]
    for name, values in run.latencies_ms(labelled).items():
        if len(values):
            percentiles = "".join(f"{np.percentile(values, p):8.1f}" for p in (50, 90, 99))
            lines.append(f"{name:28}{percentiles}")
    return "\n".join(lines) + "\n"


def _locations(labelled: list[run.LabelledExport], workspace: run.Workspace) -> str:
    lines = [f"the sidecars are beside the images under {workspace.export}"]
    example = next((one for one in labelled if one.sidecar), None)
    if example and example.sidecar:
        short = {
            key: example.sidecar[key] for key in ("status", "label", "confidence", "sample_id")
        }
        name = example.exported.path.relative_to(workspace.export)
        lines.append(f"for example {name}.json: {json.dumps(short)}")
    lines.append(f"the daemon's log: {workspace.log}")
    missing = sum(one.sidecar is None for one in labelled)
    if missing:
        lines.append(f"{counted(missing, 'image')} got no sidecar; see the log")
    return "\n".join(lines)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = CommandParser(prog="python -m edge.demo", description=__doc__)
    add_version(parser)
    parser.add_argument("--model", type=given_path, help="the model to convert")
    parser.add_argument("--images", type=given_path, metavar="DIR", help="your own images")
    parser.add_argument(
        "--count", type=whole_number(1), help=f"images to export ({_DRAWN_COUNT}, or all)"
    )
    parser.add_argument("--out", type=given_path, default=Path("demo-output"), help="output folder")
    text = "open the review page on the last demonstration, or on a new one if there is none"
    parser.add_argument("--review", action="store_true", help=text)
    parser.add_argument("--no-browser", action="store_true", help="only print the page's address")
    parser.add_argument(
        "--sheet",
        type=given_path,
        metavar="PNG",
        help="only draw two cells of each class into a picture",
    )
    parser.add_argument("--seed", type=whole_number(0), default=2026)
    return parser
