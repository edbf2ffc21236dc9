"""The networks of the table: their code, their input size, and how long each is trained.

Names of timm and torchvision are given as a model card gives them. No network starts from
pretrained weights.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from torch import nn

REFERENCE: Final = "cells8"
UNBALANCED: Final = "mobilenet_v3_unbalanced"
_OWN: Final = "tests.support.networks.networks"
_VIT_96: Final = {"img_size": 96}


@dataclass(frozen=True, slots=True)
class Network:
    """One network.

    Attributes:
        architecture: `timm:NAME`, `torchvision:NAME` or `package.module:function`.
        side_px: height and width of its input.
        epochs: passes over the training images. 0: only the last layer is fitted, on features of
            random weights; that is enough for speed and for the share of multiplies.
        arguments: keyword arguments of the architecture; they go into the card.
        training_arguments: more of them while it is trained, which change no weight's shape.
        file_format: in which of `formats.FORMATS` the table converts it.
    """

    name: str
    architecture: str
    side_px: int
    epochs: float
    arguments: Mapping[str, Any] = field(default_factory=dict)
    training_arguments: Mapping[str, Any] = field(default_factory=dict)
    peak_learning_rate: float = 2e-3
    file_format: str = "state dict"


_ALL: Final = (
    Network("resnet", f"{_OWN}:resnet", 64, 3),
    Network("mobilenet_v2", f"{_OWN}:mobilenet_v2", 96, 3),
    Network("efficientnet_b0", f"{_OWN}:efficientnet_b0", 96, 3),
    Network("mobilenet_v3", f"{_OWN}:mobilenet_v3", 96, 3),
    # Made from the one above, so that eight bits break it: see unbalance_network.py.
    Network(UNBALANCED, f"{_OWN}:mobilenet_v3", 96, 3),
    # Comes with the product; its card has the size and the normalisation.
    Network(REFERENCE, "efficientnet_lite0", 160, 0),
    Network("tv_resnet18", "torchvision:resnet18", 64, 2),
    Network("tv_mobilenet_v3_small", "torchvision:mobilenet_v3_small", 96, 3),
    Network("tv_efficientnet_b0", "torchvision:efficientnet_b0", 64, 2),
    Network("tv_shufflenet", "torchvision:shufflenet_v2_x1_0", 96, 3),
    Network("tv_squeezenet", "torchvision:squeezenet1_1", 96, 3, peak_learning_rate=5e-4),
    Network("tv_regnet", "torchvision:regnet_y_400mf", 64, 2, file_format="onnx"),
    Network("tv_densenet121", "torchvision:densenet121", 64, 1, file_format="onnx"),
    Network("repvgg_a0", "timm:repvgg_a0", 64, 2, file_format="onnx"),
    Network("mobilenet_v4", "timm:mobilenetv4_conv_small", 96, 3),
    Network("ghostnet", "timm:ghostnet_100", 96, 2),
    Network(
        "vit_tiny",
        "timm:vit_tiny_patch16_224",
        96,
        3,
        _VIT_96,
        peak_learning_rate=1e-3,
        file_format="onnx",
    ),
    Network("deit_tiny", "timm:deit_tiny_patch16_224", 96, 3, _VIT_96, peak_learning_rate=1e-3),
    Network(
        "swin_tiny",
        "timm:swin_tiny_patch4_window7_224",
        96,
        # After one it is right on 45 % of the validation images, after two on 62 %.
        4,
        {"img_size": 96, "window_size": 6},
        {"drop_path_rate": 0.0},
        peak_learning_rate=8e-4,
    ),
    Network(
        "convnext_tiny",
        "timm:convnext_tiny",
        96,
        1,
        # With the usual 1e-6 the blocks do nothing for the first epochs.
        training_arguments={"ls_init_value": 0.1},
        peak_learning_rate=8e-4,
    ),
    Network(
        "convnext_atto",
        "timm:convnext_atto",
        96,
        2,
        training_arguments={"ls_init_value": 0.1},
        file_format="onnx",
    ),
    Network("mobilevit", "timm:mobilevit_xxs", 128, 0),
    Network("efficientformer", "timm:efficientformer_l1", 224, 0, file_format="onnx"),
    Network("vit_tiny_224", "timm:vit_tiny_patch16_224", 224, 0),
    Network("deit_tiny_224", "timm:deit_tiny_patch16_224", 224, 0, file_format="onnx"),
    Network("swin_tiny_224", "timm:swin_tiny_patch4_window7_224", 224, 0, file_format="onnx"),
    Network("convnext_tiny_224", "timm:convnext_tiny", 224, 0, file_format="onnx"),
    Network(
        "hf_vit",
        "tests.networks.training.transformers_vit:vit",
        96,
        2,
        file_format="transformers safetensors",
    ),
)
NETWORKS: Final[dict[str, Network]] = {network.name: network for network in _ALL}


def build(network: Network, class_count: int, *, is_training: bool = False) -> nn.Module:
    """The network with random weights, in the mode that its library gives it in.

    Raises:
        ModuleNotFoundError: its library is not installed.
    """
    library, _, name = network.architecture.rpartition(":")
    arguments = {**network.arguments, **(network.training_arguments if is_training else {})}
    if library == "timm":
        import timm

        built = timm.create_model(name, pretrained=False, num_classes=class_count, **arguments)
    elif library == "torchvision":
        import torchvision

        built = torchvision.models.get_model(
            name, weights=None, num_classes=class_count, **arguments
        )
    else:
        module = importlib.import_module(library or "converters.architectures.efficientnet_lite0")
        built = getattr(module, name)(class_count, **arguments)
    assert isinstance(built, nn.Module)
    return built


def card_architecture(network: Network) -> str | dict[str, Any]:
    """As a model card names it: a name, or a name with its keyword arguments."""
    if network.arguments:
        return {"name": network.architecture, **network.arguments}
    return network.architecture
