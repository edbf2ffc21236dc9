"""Scripts that give None, or more than their logits, in the forms that TorchScript has."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from converters.loading.child.torch_source import open_torch
from converters.loading.sandbox.messages import SourceKind
from tests.support.networks.onnx_lab import REQUEST, SAMPLES, given_by, network, outputs_of

pytestmark = pytest.mark.filterwarnings("ignore")


class Pair(nn.Module):
    """As torchvision's Inception: the second output is for training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        found: Tensor = self.network(images)
        return (found, found) if self.training else (found, None)


# TorchScript reads no types of a class's fields where annotations are kept as text.
Fields = NamedTuple("Fields", [("features", Tensor | None), ("logits", Tensor)])  # noqa: UP014


class Named(Pair):
    def forward(self, images: Tensor) -> Fields:  # type: ignore[override]
        return Fields(None, self.network(images))


class Keyed(Pair):
    def forward(self, images: Tensor) -> dict[str, Tensor | None]:  # type: ignore[override]
        found: dict[str, Tensor | None] = {"loss": None, "it's logits": self.network(images)}
        return found


class Nested(Pair):
    def forward(  # type: ignore[override]
        self, images: Tensor, mask: Tensor | None
    ) -> tuple[Tensor | None, tuple[Tensor, Tensor | None]]:
        found: Tensor = self.network(images)
        return None, (found if mask is None else found * mask, None)


class LastOfPair(Pair):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.network(images.permute(0, 3, 1, 2)), None


class Maybe(Pair):
    def forward(  # type: ignore[override]
        self, images: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        found: Tensor = self.network(images)
        return found, images.mean()


class Best(Pair):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.network(images).argmax(1), None


TAKEN = "of its outputs {} was taken; left out: what is not a tensor"
CASES: list[tuple[type[nn.Module], list[str]]] = [
    (Pair, [TAKEN.format("0")]),
    (Named, [TAKEN.format("logits")]),
    (Keyed, [TAKEN.format("it's logits")]),
    (Nested, ["its input mask was left None", TAKEN.format("1.0")]),
    (
        LastOfPair,
        ["a transposition was added for its channels-last input", TAKEN.format("0")],
    ),
    (Maybe, ["of its outputs 0 was taken; left out: 1"]),
    (Best, ["it gives its decision alone: the scores behind it were taken"]),
]


@pytest.mark.parametrize(("kind", "said"), CASES, ids=[kind.__name__ for kind, _ in CASES])
def test_script_gives_its_logits_alone(kind: Any, said: list[str], tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(kind().eval()), tmp_path / "m.pt")
    _, taken, facts = open_torch(SourceKind.TORCHSCRIPT, tmp_path / "m.pt", REQUEST, SAMPLES)
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)
    assert [*facts.get("changes", []), *taken.changes] == said
