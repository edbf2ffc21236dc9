"""Torch files whose forward takes other than float images with channels first, alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from converters.loading.canonical.working_model.working_model import WorkingModel
from converters.loading.child.torch_source import open_torch
from converters.loading.sandbox.messages import SourceKind
from edge.errors import ModelError
from tests.support.networks.onnx_lab import (
    REQUEST,
    SAMPLES,
    given_by,
    network,
    outputs_of,
    take_module,
)

pytestmark = pytest.mark.filterwarnings("ignore")
IMAGES = torch.zeros(2, 3, 32, 32)
LAST = "a transposition was added for its channels-last input"
BYTES = "its input of bytes was changed to floats from 0 to 255"


class Last(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images.permute(0, 3, 1, 2).float() / 255)  # type: ignore[no-any-return]


class Optional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(
        self,
        images: Tensor,
        mask: Tensor | None = None,
        return_features: bool = False,  # noqa: FBT001, FBT002  # as such networks have it
    ) -> Tensor:
        found: Tensor = self.network(images)
        if mask is not None:
            found = found * mask
        return found * 2 if return_features else found


class LeftNone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: Tensor, mask: Tensor | None) -> Tensor:
        found: Tensor = self.network(images)
        return found if mask is None else found * mask


class ByKeyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: Tensor, *, scale: float = 1.0) -> Tensor:
        return self.network(images) * scale  # type: ignore[no-any-return]


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: Tensor, mask: Tensor) -> Tensor:
        return self.network(images) * mask  # type: ignore[no-any-return]


class OfDictionary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.network(batch["images"])  # type: ignore[no-any-return]


def opened(path: Path, kind: SourceKind) -> WorkingModel:
    _, taken, facts = open_torch(kind, path, REQUEST, SAMPLES)
    taken.changes[:0] = facts.get("changes", [])
    return taken


def scripted(module: nn.Module, folder: Path) -> WorkingModel:
    torch.jit.save(torch.jit.script(module.eval()), folder / "m.pt")
    return opened(folder / "m.pt", SourceKind.TORCHSCRIPT)


def exported(module: nn.Module, folder: Path, *given: Any, **named: Any) -> WorkingModel:
    torch.export.save(torch.export.export(module.eval(), given, named), folder / "m.pt2")
    return opened(folder / "m.pt2", SourceKind.EXPORTED_PROGRAM)


@pytest.mark.parametrize("kind", ["scripted", "exported", "bytes", "module"])
def test_channels_last_within_torch_are_taken(kind: str, tmp_path: Path) -> None:
    images, changes = torch.zeros(2, 32, 32, 3), [LAST]
    if kind == "scripted":
        taken = scripted(Last(), tmp_path)
    elif kind == "module":
        taken = take_module(Last().eval())
    else:
        is_bytes = kind == "bytes"
        changes = [BYTES, LAST] if is_bytes else [LAST]
        images = images.to(torch.uint8) if is_bytes else images
        taken = exported(Last(), tmp_path, images)
    assert taken.changes == changes
    with torch.no_grad():
        expected = network()(torch.from_numpy(SAMPLES) / 255).numpy()
    np.testing.assert_allclose(outputs_of(taken), expected, atol=1e-5)


def test_script_with_optional_inputs_is_called_with_images_alone(tmp_path: Path) -> None:
    taken = scripted(Optional(), tmp_path)
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)
    assert taken.changes == []


def test_optional_input_without_default_is_left_none_and_said(tmp_path: Path) -> None:
    for taken in (scripted(LeftNone(), tmp_path), take_module(LeftNone().eval())):
        np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)
        assert taken.changes == ["its input mask was left None"]


def test_input_by_keyword_keeps_its_default() -> None:
    taken = take_module(ByKeyword().eval())
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)


@pytest.mark.parametrize(
    ("given", "named"),
    [((IMAGES, None, False), {}), ((IMAGES,), {"mask": None}), ((), {"images": IMAGES})],
)
def test_program_keeps_the_constants_that_it_was_exported_with(
    given: tuple[Any, ...], named: dict[str, Any], tmp_path: Path
) -> None:
    taken = exported(Optional(), tmp_path, *given, **named)
    np.testing.assert_allclose(outputs_of(taken), given_by(network()), atol=1e-5)


def test_second_tensor_that_is_needed_is_refused_by_name(tmp_path: Path) -> None:
    said = r"m\.pt has 2 inputs \((images|batch), mask\); a classifier with one input"
    with pytest.raises(ModelError, match=said):
        scripted(Masked(), tmp_path)
    with pytest.raises(ModelError, match=said):
        take_module(Masked().eval())
    with pytest.raises(ModelError, match=said):
        exported(Masked(), tmp_path, IMAGES, torch.ones(2, 3))


def test_dictionary_of_images_is_refused_as_such(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"takes Dict\[str, Tensor\] as its input batch"):
        scripted(OfDictionary(), tmp_path)
    with pytest.raises(ModelError, match="takes a dict as its input"):
        exported(OfDictionary(), tmp_path, {"images": IMAGES})


@pytest.mark.parametrize(
    ("shape", "found"),
    [((2, 3, 48, 48), "48, 48"), ((2, 3, 32, 48), "32, 48"), ((2, 48, 32, 3), "48, 32, 3")],
)
def test_program_exported_for_another_size_is_refused(
    shape: tuple[int, ...], found: str, tmp_path: Path
) -> None:
    module = Last() if shape[-1] == 3 else network()
    with pytest.raises(ModelError, match=rf"images \[2, .*{found}\], the card says \[batch, 3, 32"):
        exported(module, tmp_path, torch.zeros(shape))
