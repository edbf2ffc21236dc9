"""EfficientNet-Lite0: EfficientNet-B0 with ReLU6 and without squeeze-excite, made for INT8.

Architecture: Tan and Le, EfficientNet (ICML 2019, arXiv:1905.11946), in the Lite variant that
TensorFlow published in 2020. Convolutions pad symmetrically, so the exported graph has no Pad
nodes; weights trained with TensorFlow's one-sided padding adapt within an epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

# TensorFlow's values for the published weights.
BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.01


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the architecture table: `repeats` blocks, the first one with `stride`."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class InvertedResidual(nn.Module):
    """Expand (1x1), depthwise, project (1x1); the input is added if the shapes are equal."""

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        hidden = inputs * stage.expansion
        layers: list[nn.Module] = []
        if stage.expansion > 1:
            layers += _conv_norm(inputs, hidden, 1)
            layers.append(nn.ReLU6(inplace=True))
        layers += _conv_norm(hidden, hidden, stage.kernel, stride=stride, groups=hidden)
        layers.append(nn.ReLU6(inplace=True))
        layers += _conv_norm(hidden, stage.channels, 1)
        self.layers = nn.Sequential(*layers)
        self.has_identity = stride == 1 and inputs == stage.channels

    def forward(self, features: Tensor) -> Tensor:
        """Shape (batch, inputs, h, w) to (batch, outputs, h / stride, w / stride)."""
        out: Tensor = self.layers(features)
        return features + out if self.has_identity else out


class EfficientNetLite0(nn.Module):
    """The classifier: normalised float images (batch, 3, h, w) to logits (batch, classes)."""

    def __init__(self, class_count: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *_conv_norm(3, STEM_CHANNELS, 3, stride=2), nn.ReLU6(inplace=True)
        )
        self.blocks = nn.Sequential(*_blocks())
        self.head = nn.Sequential(
            *_conv_norm(STAGES[-1].channels, HEAD_CHANNELS, 1), nn.ReLU6(inplace=True)
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(HEAD_CHANNELS, class_count)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images, float (batch, 3, h, w), to logits, float (batch, classes)."""
        features = self.pool(self.head(self.blocks(self.stem(images))))
        logits: Tensor = self.classifier(self.dropout(torch.flatten(features, 1)))
        return logits


def efficientnet_lite0(class_count: int) -> nn.Module:
    """The registry's constructor: an untrained network for `class_count` classes."""
    return EfficientNetLite0(class_count)


def load_imagenet_weights(network: EfficientNetLite0, state: dict[str, Tensor]) -> None:
    """Load published ImageNet weights into all layers except the classifier.

    The published file lists the same layers in the same order under other names, so tensors
    are paired by position and their shapes checked.

    Raises:
        ValueError: a tensor's shape differs: the weights are for another network.
    """
    own = {k: v for k, v in network.state_dict().items() if not k.startswith("classifier.")}
    published = {k: v for k, v in state.items() if not k.startswith("_fc.")}
    if len(own) != len(published):
        raise ValueError(f"{len(published)} tensors found, EfficientNet-Lite0 has {len(own)}.")
    for (name, target), (source_name, source) in zip(own.items(), published.items(), strict=True):
        if target.shape != source.shape:
            raise ValueError(
                f"{source_name} is {tuple(source.shape)}, {name} needs {tuple(target.shape)}."
            )
        target.copy_(source)


def _blocks() -> list[nn.Module]:
    widths = (STEM_CHANNELS, *(stage.channels for stage in STAGES))
    blocks: list[nn.Module] = []
    for (inputs, outputs), stage in zip(pairwise(widths), STAGES, strict=True):
        blocks.append(InvertedResidual(inputs, stage, stage.stride))
        blocks += [InvertedResidual(outputs, stage, 1) for _ in range(stage.repeats - 1)]
    return blocks


def _conv_norm(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM),
    ]
