"""A current model on the fake GPU, with a clock to turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from daemon.health.stages import Stages
from daemon.model.current_model import CurrentModel
from daemon.model.gpu_return import GpuReturn
from daemon.model.open_model import Model, open_model
from daemon.worker_threads import StopRequest
from edge.bundle import Bundle
from edge.errors import DeviceError
from edge.image_files.limits import ImageLimits
from edge.image_files.read import decode_image
from edge.labeller import Outcome
from tests.support.fake_gpu import FakeGpu
from tests.support.site import Site
from tests.support.waiting import until


class Seat:
    """A current_model on the fake GPU with a clock to turn."""

    def __init__(self, site: Site) -> None:
        self.now_s = 1000.0
        self.config = site.config()
        self.config.state_dir.mkdir(exist_ok=True)
        self.opened = 0
        self.current_model = CurrentModel(
            self.open("auto"), self.open, may_fail_over=True, clock=lambda: self.now_s
        )
        self.stop_request = StopRequest()
        self.trials = 0
        self.before_child_ends: Callable[[], object] = lambda: None
        self.child_works = True
        self.back = GpuReturn(
            self.current_model,
            self.open,
            self.works_in_child,
            self.stop_request.make,
            clock=lambda: self.now_s,
        )

    def works_in_child(self, _: Bundle) -> bool:
        self.trials += 1
        self.before_child_ends()
        return self.child_works

    def open(self, backend: str, bundle: Bundle | None = None) -> Model:
        self.opened += 1
        return open_model(self.config, backend=backend, bundle=bundle, stages=Stages())

    def check(self) -> None:
        self.back.check()
        until(lambda: all(thread.name != "gpu-trial" for thread in threading.enumerate()))


def lose(current_model: Seat, gpu: FakeGpu) -> None:
    gpu.lost = True
    current_model.current_model.fail_over(current_model.current_model.model, DeviceError("lost"))


def label_with_another_model_seated_meanwhile(
    current_model: Seat, path: Path, change: Callable[[], None]
) -> str:
    """A worker holds the model that `change` closes; which back end gave the label."""
    with pytest.MonkeyPatch.context() as patch:

        def decode_late(content: bytes, limits: ImageLimits) -> NDArray[np.uint8]:
            # Only this image: the change decodes golden images.
            patch.undo()
            pixels = decode_image(content, limits)
            change()
            return pixels

        patch.setattr("edge.labeller.decode_image", decode_late)
        (outcome,), facts = current_model.current_model.label_batch([path])
    assert isinstance(outcome, Outcome)
    assert outcome.decision is not None
    assert outcome.decision.label == "red"
    return facts.backend
