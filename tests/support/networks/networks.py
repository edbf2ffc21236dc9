"""Small relatives of well-known networks, for tests of quantization and for its benchmark.

Each has the building blocks of its model: residual additions (ResNet), linear bottlenecks with
ReLU6 (MobileNetV2), hard-swish and squeeze-excite (MobileNetV3), SiLU and squeeze-excite
(EfficientNet-B0). Widths are cut, so that two cores train one in minutes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Activation = Callable[[], nn.Module]


def conv_norm(
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: Activation | None = None,
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if activation is not None:
        layers.append(activation())
    return nn.Sequential(*layers)


class BasicBlock(nn.Module):
    """ResNet: two 3x3 convolutions, the identity added, then ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = conv_norm(inputs, outputs, 3, stride=stride, activation=nn.ReLU)
        self.second = conv_norm(outputs, outputs, 3)
        same = stride == 1 and inputs == outputs
        self.identity = nn.Identity() if same else conv_norm(inputs, outputs, 1, stride=stride)
        self.relu = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.relu(self.second(self.first(features)) + self.identity(features))
        return out


class SqueezeExcite(nn.Module):
    """Channels weighted by a gate that is computed from their means."""

    def __init__(
        self, channels: int, squeezed: int, activation: Activation, gate: Activation
    ) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.activation = activation()
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = gate()

    def forward(self, features: Tensor) -> Tensor:
        weights = self.expand(self.activation(self.reduce(self.pool(features))))
        out: Tensor = features * self.gate(weights)
        return out


class InvertedResidual(nn.Module):
    """MobileNetV2, V3 and EfficientNet: expand, depthwise, perhaps squeeze-excite, project."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int,
        stride: int,
        expansion: int,
        activation: Activation,
        gate: Activation | None = None,
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers.append(conv_norm(inputs, hidden, 1, activation=activation))
        layers.append(
            conv_norm(hidden, hidden, kernel, stride=stride, groups=hidden, activation=activation)
        )
        if gate is not None:
            squeezed = max(4, inputs // 4)
            layers.append(SqueezeExcite(hidden, squeezed, nn.ReLU, gate))
        layers.append(conv_norm(hidden, outputs, 1))
        self.layers = nn.Sequential(*layers)
        self.has_identity = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.layers(features)
        return features + out if self.has_identity else out


class Classifier(nn.Module):
    """A trunk, the mean over space and a linear layer."""

    def __init__(self, trunk: nn.Sequential, channels: int, class_count: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, class_count)

    def forward(self, images: Tensor) -> Tensor:
        features = torch.flatten(self.pool(self.trunk(images)), 1)
        logits: Tensor = self.classifier(features)
        return logits


def resnet(class_count: int) -> nn.Module:
    """ResNet-18 with half its width."""
    layers: list[nn.Module] = [
        conv_norm(3, 32, 7, stride=2, activation=nn.ReLU),
        nn.MaxPool2d(3, 2, 1),
    ]
    inputs = 32
    for outputs, stride in ((32, 1), (64, 2), (128, 2), (256, 2)):
        layers += [BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1)]
        inputs = outputs
    return Classifier(nn.Sequential(*layers), inputs, class_count)


def mobilenet_v2(class_count: int) -> nn.Module:
    """MobileNetV2 with half its width."""
    return _inverted(class_count, nn.ReLU6, None, head=640, stem=16)


def mobilenet_v3(class_count: int) -> nn.Module:
    """MobileNetV3: hard-swish and squeeze-excite with a hard sigmoid."""
    return _inverted(class_count, nn.Hardswish, nn.Hardsigmoid, head=576, stem=16)


def efficientnet_b0(class_count: int) -> nn.Module:
    """EfficientNet-B0 with half its width: SiLU and squeeze-excite with a sigmoid."""
    return _inverted(class_count, nn.SiLU, nn.Sigmoid, head=640, stem=16)


NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "resnet": resnet,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "efficientnet_b0": efficientnet_b0,
}

# Repeats, kernel, stride, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 8),
    (2, 3, 2, 6, 16),
    (2, 5, 2, 6, 24),
    (3, 3, 2, 6, 40),
    (2, 5, 1, 6, 56),
    (3, 5, 2, 6, 96),
)


def _inverted(
    class_count: int, activation: Activation, gate: Activation | None, *, head: int, stem: int
) -> nn.Module:
    layers: list[nn.Module] = [conv_norm(3, stem, 3, stride=2, activation=activation)]
    inputs = stem
    for repeats, kernel, stride, expansion, outputs in _STAGES:
        for position in range(repeats):
            layers.append(
                InvertedResidual(
                    inputs,
                    outputs,
                    kernel=kernel,
                    stride=stride if position == 0 else 1,
                    expansion=expansion,
                    activation=activation,
                    gate=gate,
                )
            )
            inputs = outputs
    layers.append(conv_norm(inputs, head, 1, activation=activation))
    return Classifier(nn.Sequential(*layers), head, class_count)
