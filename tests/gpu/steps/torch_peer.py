"""Times the same network in torch. Runs in another Python, with torch and numpy alone.

    python torch_peer.py NETWORK.py WEIGHTS.pt CLASSES MEAN STD IMAGES.npy [DEVICE]

NETWORK.py is `converters/architectures/efficientnet_lite0.py`, MEAN and STD are of the three
channels, joined by commas, IMAGES.npy holds uint8 (n, height, width, 3). The first line of the
answer says the versions and the logits of IMAGES; then each line asked on stdin gets one: for
`{"variant": ..., "level": "engine" | "call", "batch": n, "calls": k}` the milliseconds of each
call.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Asked = dict[str, Any]


class FromBytes(nn.Module):
    """The network with the normalisation in front, as in the bundle's graphs."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("scale", 1 / (255 * torch.tensor(std).view(1, 3, 1, 1)))
        self.register_buffer("shift", (torch.tensor(mean) / torch.tensor(std)).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Uint8 (batch, height, width, 3) to float32 logits (batch, classes)."""
        channels_first = images.permute(0, 3, 1, 2).to(self.scale.dtype)
        logits: Tensor = self.network(channels_first * self.scale - self.shift)
        return logits.float()


class Peer:
    """The variants of one network on one device."""

    def __init__(self, build: Callable[[], nn.Module], device: str) -> None:
        self._device = torch.device(device)
        # torch's own types leave `memory_format` out.
        single: Any = build().eval()
        half: Any = build().eval()
        single.to(self._device, memory_format=torch.channels_last)
        half.to(self._device, torch.float16, memory_format=torch.channels_last)
        self._variants: dict[str, Callable[[Tensor], Tensor]] = {
            "eager fp32": single,
            "eager fp16": half,
            "compile fp16": torch.compile(half, mode="reduce-overhead", dynamic=False),
        }

    def logits(self, images: NDArray[np.uint8]) -> list[list[float]]:
        """Of the float network, to be compared with the bundle's."""
        found: list[list[float]] = self._call("eager fp32", images).tolist()
        return found

    def answer(self, asked: Asked, images: NDArray[np.uint8]) -> dict[str, list[float]]:
        """Milliseconds of each call, after one that is not counted."""
        rows = np.ascontiguousarray(np.resize(images, (asked["batch"], *images.shape[1:])))
        call = self._timed(asked["variant"], asked["level"], rows)
        call()
        values = []
        for _ in range(asked["calls"]):
            start = time.perf_counter()
            call()
            values.append((time.perf_counter() - start) * 1e3)
        return {"ms": values}

    def _timed(self, variant: str, level: str, rows: NDArray[np.uint8]) -> Callable[[], object]:
        if level == "call":
            return lambda: self._call(variant, rows)
        network, on_device = self._variants[variant], torch.from_numpy(rows).to(self._device)

        def launch_and_wait() -> None:
            network(on_device)
            self._wait()

        return launch_and_wait

    def _call(self, variant: str, rows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Host array to host array."""
        logits = self._variants[variant](torch.from_numpy(rows).to(self._device))
        return np.asarray(logits.cpu().numpy(), np.float32)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()


def main(argv: list[str]) -> int:
    """Answer until stdin ends."""
    network, weights, classes, mean, std, images_path, *device = argv
    images = np.load(images_path)
    normalisation = [[float(value) for value in text.split(",")] for text in (mean, std)]

    def build() -> nn.Module:
        # By its path: the package around it needs more than torch.
        loaded = _module(network).efficientnet_lite0(int(classes))
        loaded.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        return FromBytes(loaded, *normalisation)

    # Standard output carries the answers alone, whatever torch prints.
    answers, sys.stdout = sys.stdout, sys.stderr
    with torch.inference_mode():
        peer = Peer(build, device[0] if device else "cuda")
        _say(answers, {**_versions(), "logits": peer.logits(images)})
        for line in sys.stdin:
            try:
                _say(answers, peer.answer(json.loads(line), images))
            except Exception as error:  # noqa: BLE001 - torch.compile fails in many ways
                _say(answers, {"error": f"{type(error).__name__}: {error}"[:300]})
    return 0


def _module(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("reference_network", Path(path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _versions() -> dict[str, str | None]:
    return {"torch": torch.__version__, "cuda": torch.version.cuda}


def _say(stream: Any, fields: dict[str, Any]) -> None:
    stream.write(json.dumps(fields) + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
