"""`python -m tests.networks train | table | compare`: what the converter makes of many networks.

    python -m tests.networks train   --data ../shared/pbc --nets NETS
    python -m tests.networks table   --data ../shared/pbc --nets NETS --out OUT
    python -m tests.networks compare --data ../shared/pbc --nets NETS --out OUT

torchvision, timm, lightning and transformers are needed for the networks and files of theirs, and
openvino and nncf for the comparison; a row whose library is missing says so. Each network and each
row is kept as soon as it is there: the same command goes on where it was stopped, and tries failed
rows again.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edge.bench.machine.environment import environment
from edge.command.parser import CommandParser
from edge.command.run import run_command
from edge.files import atomic
from tests.networks import rivals
from tests.networks.compare import DEFAULT, compare_all, comparison_as_markdown
from tests.networks.conversion import Settings
from tests.networks.formats import FORMATS
from tests.networks.record import FAILED, Record
from tests.networks.rows import Task
from tests.networks.table import run_tasks, tasks
from tests.networks.text import rows_as_markdown
from tests.networks.training.catalogue import NETWORKS
from tests.networks.training.command import train_all


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code: 1 where a row failed."""
    arguments = _parser().parse_args(argv)
    return run_command(
        lambda: arguments.run(arguments),
        debug=arguments.debug,
        on_interrupt="interrupted; the same command goes on from here.",
    )


def _train(arguments: argparse.Namespace) -> int:
    arguments.nets.mkdir(parents=True, exist_ok=True)
    named = [NETWORKS[name] for name in arguments.networks or NETWORKS]
    chosen = [replace(one, epochs=arguments.epochs_share * one.epochs) for one in named]
    return train_all(chosen, arguments.data, arguments.nets, arguments.threads, say)


def _table(arguments: argparse.Namespace) -> int:
    chosen = tasks(arguments.networks or NETWORKS, arguments.formats)
    record = _converted(arguments, chosen)
    rows = record.rows([task.name for task in chosen])
    text = f"{_heading(arguments)}\n\n{rows_as_markdown(rows)}\n"
    atomic.write_file(arguments.out / "table.md", text.encode())
    print(text)
    return int(any(row["state"] == FAILED for row in rows))


def _compare(arguments: argparse.Namespace) -> int:
    rivals.require_packages()
    chosen = [Task(name, NETWORKS[name].file_format) for name in arguments.networks or DEFAULT]
    made = _converted(arguments, chosen)
    settings = _settings(arguments)
    record = _record(arguments.out / "compare.json", settings, again=arguments.again)
    compare_all(chosen, arguments.out, settings, record, made, say)
    rows = record.rows([task.name for task in chosen])
    text = f"{_heading(arguments)}\n\n{comparison_as_markdown(rows)}\n"
    atomic.write_file(arguments.out / "compare.md", text.encode())
    print(text)
    return int(any(row["state"] == FAILED for row in rows))


def _converted(arguments: argparse.Namespace, chosen: list[Task]) -> Record:
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = _settings(arguments)
    record = _record(arguments.out / "table.json", settings, again=arguments.again)
    run_tasks(chosen, arguments.nets, arguments.out, settings, record, arguments.jobs, say)
    return record


def _record(path: Path, settings: Settings, *, again: bool) -> Record:
    if again:
        path.unlink(missing_ok=True)
    kept: dict[str, Any] = {k: v for k, v in asdict(settings).items() if k != "data"}
    return Record(path, kept)


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(
        data=arguments.data,
        calibration_images=arguments.calibration_images,
        validation_per_class=arguments.validation_per_class,
        test_per_class=arguments.test_per_class,
        max_drop_points=arguments.max_drop,
        limit_s=60 * arguments.row_minutes,
    )


def _heading(arguments: argparse.Namespace) -> str:
    """What the figures rest on."""
    on = environment()
    return (
        f"{time.strftime('%Y-%m-%d')}, {on.cpu}, {on.cores} cores, INT8 instructions: "
        f"{' '.join(on.int8_instructions) or 'none'}, ONNX Runtime {on.packages['onnxruntime']}, "
        "one thread, batch 1. "
        f"Calibrated on {arguments.calibration_images} images, gated on "
        f"{arguments.validation_per_class} validation images of each class with "
        f"--max-drop {arguments.max_drop:g}, accuracy on {arguments.test_per_class} native test "
        f"images of each class. {arguments.jobs} conversions at a time; latencies interleaved, "
        "one row at a time."
    )


def say(text: str) -> None:
    """Progress, with the time of day."""
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m tests.networks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train", help="train the networks that are not there yet")
    train.set_defaults(run=_train)
    train.add_argument("--threads", type=int, default=1, help="(1)")
    train.add_argument(
        "--epochs-share", type=float, default=1.0, metavar="SHARE", help="train so much as long (1)"
    )
    table = commands.add_parser("table", help="convert and judge, one row per network and file")
    table.set_defaults(run=_table)
    table.add_argument("--formats", nargs="+", choices=list(FORMATS), metavar="FORMAT")
    compare = commands.add_parser("compare", help="against ONNX Runtime, OpenVINO and NNCF")
    compare.set_defaults(run=_compare)
    for command in (train, table, compare):
        command.add_argument("--data", type=Path, required=True, help="images with a manifest.csv")
        command.add_argument("--nets", type=Path, required=True, help="folder of NAME.pt")
        command.add_argument("--networks", nargs="+", choices=list(NETWORKS), metavar="NAME")
        command.add_argument("--debug", action="store_true", help="show tracebacks")
    for command in (table, compare):
        _add_row_options(command)
    return parser


def _add_row_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, required=True, help="folder to write into")
    command.add_argument("--jobs", type=int, default=2, help="conversions at a time (2)")
    command.add_argument("--calibration-images", type=int, default=48, metavar="N", help="(48)")
    command.add_argument("--validation-per-class", type=int, default=25, metavar="N", help="(25)")
    command.add_argument("--test-per-class", type=int, default=25, metavar="N", help="(25)")
    command.add_argument("--max-drop", type=float, default=1.0, metavar="POINTS", help="(1)")
    command.add_argument("--row-minutes", type=float, default=20, help="then a row ends (20)")
    command.add_argument("--again", action="store_true", help="make finished rows again, too")
