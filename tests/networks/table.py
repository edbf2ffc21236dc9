"""Make the table: each row converts one network from one kind of file, and is judged.

Rows run side by side, speeds are measured one after the other when all rows are converted, so that
no conversion disturbs them. A row that fails says why, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

import torch

from tests.networks.conversion import Settings
from tests.networks.formats import FORMATS
from tests.networks.record import CONVERTED, DONE, Record
from tests.networks.rows import JudgingImages, Task, converted, timed
from tests.networks.training.catalogue import NETWORKS
from tests.networks.training.images import copy_folders

Say = Callable[[str], None]
# Kinds of file are tried with small networks, so that a row takes well under a minute.
_FORMATS_OF: Final = {
    "resnet": [name for name in FORMATS if name != "transformers safetensors"],
    "mobilenet_v2": ["onnx, sigmoid", "pt2", "onnx of dynamo"],
    "vit_tiny": ["timm checkpoint", "pt2", "onnx of dynamo"],
}


def tasks(networks: Iterable[str], formats: Iterable[str] | None = None) -> list[Task]:
    """The rows of some networks: each in its own format, some in many; or in the given formats."""
    found = []
    for name in networks:
        own = [NETWORKS[name].file_format]
        chosen = formats or own + [f for f in _FORMATS_OF.get(name, []) if f not in own]
        found += [Task(name, one) for one in chosen]
    return found


def run_tasks(
    to_run: list[Task],
    nets: Path,
    out: Path,
    settings: Settings,
    record: Record,
    jobs: int,
    say: Say,
) -> None:
    """Run what is not done yet; each row is in `record` as soon as it is known."""
    copy_folders(
        settings.data,
        out / "images",
        calibration=settings.calibration_images,
        validation_per_class=settings.validation_per_class,
    )
    torch.set_num_threads(1)
    test = JudgingImages(settings)
    missing = [task for task in to_run if not record.has(task.name, (DONE, CONVERTED))]
    say(f"{len(missing)} of {len(to_run)} rows to convert, {jobs} at a time")
    with ThreadPoolExecutor(jobs) as pool:
        futures = {
            pool.submit(converted, task, nets, out, settings, test): task for task in missing
        }
        for number, future in enumerate(as_completed(futures), 1):
            task, row = futures[future], future.result()
            record.keep(task.name, row)
            say(f"{number} of {len(missing)}: {task.name}: {row.get('reason') or row['state']}")
    for task in to_run:
        if record.has(task.name, (CONVERTED,)):
            record.keep(task.name, timed(record.row(task.name), task, out, test))
            say(f"timed {task.name}")
