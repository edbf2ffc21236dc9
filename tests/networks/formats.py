"""A trained network written as the kinds of file that people have.

The libraries' own functions write their files where they can be called without a training run.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from tests.networks.training.catalogue import Network, card_architecture


@dataclass(frozen=True, slots=True)
class Written:
    """A model file, what its card says beside the usual, and flags of the conversion."""

    model: Path
    card: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A trained network in evaluation mode, and the folder to write into."""

    network: Network
    module: nn.Module
    folder: Path
    side_px: int

    @property
    def example(self) -> Tensor:
        return torch.zeros(1, 3, self.side_px, self.side_px)

    @property
    def by_name(self) -> dict[str, Any]:
        return {"architecture": card_architecture(self.network)}


def state_dict(source: Source) -> Written:
    path = source.folder / "model.pt"
    torch.save(source.module.state_dict(), path)
    return Written(path, source.by_name)


def timm_checkpoint(source: Source) -> Written:
    """As timm's train.py leaves it: arguments of the training and the average of the weights."""
    from timm.utils import CheckpointSaver, ModelEmaV3

    saver = CheckpointSaver(
        source.module,
        torch.optim.AdamW(source.module.parameters()),
        args=argparse.Namespace(model=source.network.name, lr=1e-3, output=Path("out")),
        model_ema=ModelEmaV3(source.module),
        checkpoint_dir=str(source.folder),
    )
    saver.save_checkpoint(3, 0.9)
    return Written(source.folder / "model_best.pth.tar", source.by_name)


def lightning_checkpoint(source: Source) -> Written:
    import lightning

    class Classifier(lightning.LightningModule):  # type: ignore[misc]  # it has no types
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.save_hyperparameters({"learning_rate": 1e-3})
            self.net = net

    trainer = lightning.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.strategy.connect(Classifier(source.module))
    path = source.folder / "last.ckpt"
    trainer.save_checkpoint(path)
    return Written(path, source.by_name)


def fastai_model(source: Source) -> Written:
    """As fastai's `Learner.save`: weights and the state of the optimiser."""
    optimiser = torch.optim.AdamW(source.module.parameters()).state_dict()
    path = source.folder / "model.pth"
    torch.save({"model": source.module.state_dict(), "opt": optimiser}, path)
    return Written(path, source.by_name)


def transformers_safetensors(source: Source) -> Written:
    source.module.save_pretrained(source.folder)  # type: ignore[operator]
    return Written(source.folder / "model.safetensors", source.by_name)


def wrapped_in_data_parallel(source: Source) -> Written:
    """Of a training on several GPUs: every name begins with `module.`."""
    path = source.folder / "model.pt"
    torch.save({"state_dict": nn.DataParallel(source.module).state_dict(), "epoch": 3}, path)
    return Written(path, source.by_name)


def pickled_module(source: Source) -> Written:
    path = source.folder / "model.pt"
    torch.save(source.module, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Written(path, flags=("--trust-pickle", f"sha256:{digest}"))


def _traced(source: Source, module: nn.Module) -> Written:
    path = source.folder / "model.pt"
    torch.jit.save(torch.jit.trace(module, source.example), path)  # type: ignore[no-untyped-call]
    return Written(path)


def traced(source: Source) -> Written:
    return _traced(source, source.module)


def scripted(source: Source) -> Written:
    path = source.folder / "model.pt"
    torch.jit.save(torch.jit.script(source.module), path)
    return Written(path)


def exported_program(source: Source) -> Written:
    path = source.folder / "model.pt2"
    images = torch.zeros(2, *source.example.shape[1:])
    batch = torch.export.Dim("batch")
    program = torch.export.export(source.module, (images,), dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
    return Written(path)


def _export(
    source: Source, module: nn.Module, example: Tensor | None = None, **options: Any
) -> Path:
    path = source.folder / "model.onnx"
    settings = {"opset_version": 17, **options}
    torch.onnx.export(
        module.eval(),
        (source.example if example is None else example,),
        path,
        dynamo=False,
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
        **settings,
    )
    return path


def onnx_17(source: Source) -> Written:
    return Written(_export(source, source.module))


def onnx_of_dynamo(source: Source) -> Written:
    path = source.folder / "model.onnx"
    program = torch.onnx.export(
        source.module,
        (torch.zeros(2, *source.example.shape[1:]),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    assert program is not None
    program.save(path, external_data=False)
    return Written(path)


def onnx_ir_3(source: Source) -> Written:
    """As exporters wrote it until 2019: opset 9, the weights among the inputs."""
    import onnx

    path = _export(source, source.module, opset_version=9, keep_initializers_as_inputs=True)
    model = onnx.load(path)
    model.ir_version = 3
    onnx.save(model, path)
    return Written(path)


class _ChannelsLast(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.module(images.permute(0, 3, 1, 2))
        return logits


def onnx_nhwc(source: Source) -> Written:
    """As tf2onnx writes networks of Keras: channels last, opset 13."""
    example = torch.zeros(1, source.side_px, source.side_px, 3)
    return Written(_export(source, _ChannelsLast(source.module), example, opset_version=13))


def onnx_half(source: Source) -> Written:
    """Weights, input and output in FP16."""
    return Written(_export(source, source.module.half(), source.example.half()))


def onnx_softmax(source: Source) -> Written:
    return Written(_export(source, nn.Sequential(source.module, nn.Softmax(1))))


def onnx_sigmoid(source: Source) -> Written:
    return Written(_export(source, nn.Sequential(source.module, nn.Sigmoid())))


def traced_softmax(source: Source) -> Written:
    return _traced(source, nn.Sequential(source.module, nn.Softmax(1)))


FORMATS: Final[dict[str, Callable[[Source], Written]]] = {
    "state dict": state_dict,
    "timm checkpoint": timm_checkpoint,
    "lightning checkpoint": lightning_checkpoint,
    "fastai model": fastai_model,
    "transformers safetensors": transformers_safetensors,
    "data parallel checkpoint": wrapped_in_data_parallel,
    "pickled module": pickled_module,
    "torchscript traced": traced,
    "torchscript scripted": scripted,
    "torchscript, softmax": traced_softmax,
    "pt2": exported_program,
    "onnx": onnx_17,
    "onnx of dynamo": onnx_of_dynamo,
    "onnx, IR 3, opset 9": onnx_ir_3,
    "onnx, NHWC": onnx_nhwc,
    "onnx, FP16": onnx_half,
    "onnx, softmax": onnx_softmax,
    "onnx, sigmoid": onnx_sigmoid,
}
