"""Train the small networks on the shared images, for the quantization benchmark.

    python -m tests.support.train_networks --data ../shared/pbc --out DIR [--epochs 10]

Writes NAME.pt (a state dict) and NAME.yaml (its card) for each network. Some minutes each on two
cores; nothing of it is committed.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
import yaml

from converters.reference.pbc import CLASSES, read_manifest
from converters.reference.training.samples import load_training, load_validation
from converters.reference.training.train import Hardware, Listener, TrainingPlan, train
from edge.preprocess import InputSpec
from tests.support.networks import NETWORKS

logger = logging.getLogger("networks")

INPUT = {
    "height": 128,
    "width": 128,
    "channels": "rgb",
    "resize": "area",
    "crop": 0.65,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    arguments.out.mkdir(parents=True, exist_ok=True)
    spec = InputSpec.from_dict(INPUT)
    plan = TrainingPlan(epochs=arguments.epochs, peak_learning_rate=3e-3)
    samples = load_training(read_manifest(arguments.data, "train"), 1, lambda *_: None)
    validation = load_validation(read_manifest(arguments.data, "val"), 5, 2)
    for name in arguments.networks:
        torch.manual_seed(plan.seed)
        logger.info("training %s", name)
        trained = train(
            NETWORKS[name](len(CLASSES)),
            samples,
            validation,
            spec,
            plan,
            hardware=Hardware(arguments.device, arguments.workers),
            listener=Listener(lambda *_: None, lambda result: logger.info("%s", result)),
        )
        state = {key: value.cpu().contiguous() for key, value in trained.state_dict().items()}
        torch.save(state, arguments.out / f"{name}.pt")
        card = {
            "name": name,
            "version": "1",
            "architecture": f"tests.support.networks:{name}",
            "classes": list(CLASSES),
            "input": INPUT,
            "unidentified_below": 0.5,
        }
        (arguments.out / f"{name}.yaml").write_text(yaml.safe_dump(card))


if __name__ == "__main__":
    main()
