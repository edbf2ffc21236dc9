"""`python -m converters.reference`: trains the reference model, and evaluates bundles."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from converters.int8.graphs import GRAPHS
from converters.reference.evaluation.contact_sheet import contact_sheets, wrong_images
from converters.reference.evaluation.evaluate import Judgement, evaluate
from converters.reference.evaluation.fields import evaluation_fields
from converters.reference.evaluation.graphs import choose_graphs
from converters.reference.evaluation.images import (
    EvaluationImages,
    images_of_folders,
    images_of_split,
)
from converters.reference.evaluation.text import evaluation_text
from converters.reference.training.command import add_training
from edge.bundle import load_bundle
from edge.command.parser import CommandParser, add_version
from edge.command.progress import Progress
from edge.command.run import run_command
from edge.command.values import given_path
from edge.errors import ConfigError
from edge.files import atomic
from edge.image_folders.walk import readable
from edge.text.counted import counted
from edge.text.printable import printable, printable_lines

logger = logging.getLogger("reference")

_MOST_THREADS = 256


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    return run_command(lambda: arguments.run(arguments), debug=arguments.debug, tidies_up=True)


def run_evaluation(arguments: argparse.Namespace) -> None:
    """Print the accuracy of each graph of a bundle, and write the files that were asked for."""
    _check_outputs(arguments)
    bundle = load_bundle(arguments.bundle)
    graphs = choose_graphs(bundle, arguments.graphs)
    images = _evaluation_images(arguments, bundle.classes)
    count = counted(len(images.files), "image")
    print(printable(f"{bundle.name} {bundle.version} on {count} of {images.origin}"))
    for line in images.left_out:
        print(printable(f"left out: {line}"))
    if images.missing:
        missing = ", ".join(images.missing)
        print(printable(f"no image of: {missing}; nothing is known of these classes"))
    print(flush=True)
    with Progress(f"labelled with {', '.join(graphs)}", sys.stderr) as progress:
        found = evaluate(bundle, images.files, graphs, progress.update, threads=arguments.threads)
    print(printable_lines(evaluation_text(found, bundle.unidentified_below)))
    _require_some_read(found)
    if arguments.json:
        fields = evaluation_fields(found, bundle, images)
        atomic.write_file(arguments.json, (json.dumps(fields, indent=1) + "\n").encode())
    if arguments.wrong:
        _write_sheets(found, images.origin, arguments.wrong)


def _evaluation_images(arguments: argparse.Namespace, classes: tuple[str, ...]) -> EvaluationImages:
    with Progress("files compared", sys.stderr) as progress:
        if arguments.data:
            return images_of_split(arguments.data, arguments.split, classes, progress.update)
        return images_of_folders(arguments.folder, classes, progress.update)


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Check the output paths before the work: they must be writable, and not among the inputs."""
    if not 1 <= arguments.threads <= _MOST_THREADS:
        raise ConfigError(f"--threads is {arguments.threads}; give 1 to {_MOST_THREADS}.")
    folder = arguments.wrong
    if folder and folder.exists() and not _is_empty_folder(folder):
        raise ConfigError(f"--wrong: {folder} exists and is not an empty folder; give another one.")
    read = [arguments.bundle, arguments.data or arguments.folder]
    for name, path in (("json", arguments.json), ("wrong", arguments.wrong)):
        if path is None:
            continue
        if not path.parent.is_dir():
            raise ConfigError(f"--{name}: {path.parent} is no folder; make it first.")
        if not os.access(path.parent, os.W_OK):
            raise ConfigError(f"--{name}: {path.parent} cannot be written; name another folder.")
        if any(path.resolve().is_relative_to(place.resolve()) for place in read):
            raise ConfigError(f"--{name}: {path} is inside what is evaluated; give another path.")
    json_file = arguments.json and arguments.json.resolve()
    if json_file and (json_file.is_dir() or (folder and json_file == folder.resolve())):
        raise ConfigError(f"--json: {arguments.json} is a folder; name a file.")


def _is_empty_folder(path: Path) -> bool:
    with readable(path):
        return path.is_dir() and not any(path.iterdir())


def _require_some_read(found: Judgement) -> None:
    """Refuse a result in which no image could be read."""
    if len(found.rejected) == len(found.files):
        raise ConfigError(
            f"of {counted(len(found.files), 'image')} none could be labelled (the first, "
            f"{found.files[0].path}: {found.rejected[0]}). Nothing was written. Check that the "
            "images are complete."
        )


def _write_sheets(found: Judgement, origin: Path, folder: Path) -> None:
    positions = wrong_images(found)
    if not positions:
        print("\nno graph gets an image wrong; no pictures were written")
        return
    atomic.make_folder(folder)
    for number, page in enumerate(contact_sheets(found, positions, origin), start=1):
        atomic.write_file(folder / f"wrong-{number:03}.png", page)
    print()
    print(printable(f"{len(positions)} images that a graph gets wrong are shown in {folder}"))


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = CommandParser(prog="python -m converters.reference", description=__doc__)
    add_version(parser)
    commands = parser.add_subparsers(required=True)
    _add_evaluation(commands.add_parser("evaluate", help="how right a bundle is, by class"))
    learn = commands.add_parser("train", help="train from ImageNet weights")
    add_training(learn, Path(__file__).parent / "cells8.yaml")
    for command in commands.choices.values():
        command.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


def _add_evaluation(judge: argparse.ArgumentParser) -> None:
    judge.set_defaults(run=run_evaluation)
    judge.add_argument("--bundle", type=given_path, required=True, help="folder NAME.edge")
    images = judge.add_mutually_exclusive_group(required=True)
    images.add_argument("--data", type=given_path, help="folder with manifest.csv")
    images.add_argument("--folder", type=given_path, help="any folder with one folder per class")
    judge.add_argument("--split", default="test", help="of --data: train, val or test (test)")
    judge.add_argument(
        "--graphs",
        metavar="NAMES",
        help=f"all, or some of {', '.join(GRAPHS)} (fp32,int8)",
    )
    judge.add_argument("--json", type=given_path, metavar="FILE", help="write all figures")
    judge.add_argument(
        "--wrong",
        type=given_path,
        metavar="DIR",
        help="new folder for pictures of the wrong images",
    )
    judge.add_argument(
        "--threads",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="images labelled at a time (one for each core)",
    )
