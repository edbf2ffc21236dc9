"""Small relatives of ViT, Swin and ConvNeXt: linear layers on tokens, attention, windows.

Each has what its model has for a quantizer: queries, keys and values in one layer, a bias behind
every MatMul but one, layer norms and GELU between them, windows that are counted with the batch,
depthwise convolutions before a layer norm with the channels last.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

WIDTH = 48
HEADS = 3
WINDOW = 2


class Attention(nn.Module):
    """Softmax attention of (batch, tokens, channels)."""

    def __init__(self) -> None:
        super().__init__()
        self.queries_keys_values = nn.Linear(WIDTH, 3 * WIDTH)
        self.projection = nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, count, _ = tokens.shape
        split = self.queries_keys_values(tokens).reshape(batch, count, 3, HEADS, WIDTH // HEADS)
        queries, keys, values = split.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (queries * (WIDTH // HEADS) ** -0.5) @ keys.transpose(-2, -1)
        mixed = (weights.softmax(-1) @ values).transpose(1, 2).reshape(batch, count, WIDTH)
        out: Tensor = self.projection(mixed)
        return out


class WindowAttention(nn.Module):
    """Attention within windows of WINDOW x WINDOW places of (batch, height, width, channels)."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()

    def forward(self, places: Tensor) -> Tensor:
        batch, height, width, _ = places.shape
        rows, columns = height // WINDOW, width // WINDOW
        windows = places.reshape(batch, rows, WINDOW, columns, WINDOW, WIDTH).transpose(2, 3)
        mixed = self.attention(windows.reshape(-1, WINDOW * WINDOW, WIDTH))
        back = mixed.reshape(batch, rows, columns, WINDOW, WINDOW, WIDTH).transpose(2, 3)
        out: Tensor = back.reshape(batch, height, width, WIDTH)
        return out


class Block(nn.Module):
    """Layer norm and attention, layer norm and two linear layers, each added to what came in."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.first_norm, self.attention = nn.LayerNorm(WIDTH), attention
        self.layers = nn.Sequential(
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, 4 * WIDTH),
            nn.GELU(),
            nn.Linear(4 * WIDTH, WIDTH),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        attended = tokens + self.attention(self.first_norm(tokens))
        out: Tensor = attended + self.layers(attended)
        return out


class VisionTransformer(nn.Module):
    """Patches of 8 x 8, a class token, positions, two blocks."""

    def __init__(self, class_count: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.randn(1, 65, WIDTH))
        self.blocks = nn.Sequential(Block(Attention()), Block(Attention()), nn.LayerNorm(WIDTH))
        self.head = nn.Linear(WIDTH, class_count)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)
        token = self.token.expand(patches.shape[0], -1, -1)
        tokens = self.blocks(torch.cat([token, patches], 1) + self.positions)
        logits: Tensor = self.head(tokens[:, 0])
        return logits


class WindowTransformer(nn.Module):
    """Swin's parts: attention within windows, and a layer that has no bias."""

    def __init__(self, class_count: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 8, 8)
        self.block = Block(WindowAttention())
        self.reduction = nn.Linear(WIDTH, WIDTH, bias=False)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, class_count)

    def forward(self, images: Tensor) -> Tensor:
        places = self.reduction(self.block(self.patches(images).permute(0, 2, 3, 1)))
        logits: Tensor = self.head(self.norm(places).mean((1, 2)))
        return logits


class ConvNextBlock(nn.Module):
    """A depthwise convolution, then layers with the channels last, scaled and added."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(WIDTH, WIDTH, 7, padding=3, groups=WIDTH)
        self.layers = nn.Sequential(
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, 4 * WIDTH),
            nn.GELU(),
            nn.Linear(4 * WIDTH, WIDTH),
        )
        self.scale = nn.Parameter(torch.rand(WIDTH))

    def forward(self, features: Tensor) -> Tensor:
        moved = self.layers(self.depthwise(features).permute(0, 2, 3, 1)) * self.scale
        out: Tensor = features + moved.permute(0, 3, 1, 2)
        return out


class Downsample(nn.Module):
    """A layer norm with the channels last and a strided convolution, between two stages."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.strided = nn.LayerNorm(WIDTH), nn.Conv2d(WIDTH, WIDTH, 2, 2)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.strided(self.norm(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return out


class ConvNext(nn.Module):
    """Two stages of one block behind patches of 4 x 4."""

    def __init__(self, class_count: int) -> None:
        super().__init__()
        patches = nn.Conv2d(3, WIDTH, 4, 4)
        self.trunk = nn.Sequential(patches, ConvNextBlock(), Downsample(), ConvNextBlock())
        self.head = nn.Linear(WIDTH, class_count)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.trunk(images).mean((2, 3)))
        return logits


TRANSFORMERS: dict[str, Callable[[int], nn.Module]] = {
    "vision_transformer": VisionTransformer,
    "window_transformer": WindowTransformer,
    "convnext": ConvNext,
}
