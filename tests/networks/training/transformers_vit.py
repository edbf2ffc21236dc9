"""A small ViT of the library transformers, for its own kind of file."""

from __future__ import annotations

from torch import nn


def vit(class_count: int) -> nn.Module:
    """`ViTForImageClassification` for 96 px: 6 layers of width 128."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=128,
        num_hidden_layers=6,
        num_attention_heads=4,
        intermediate_size=256,
        image_size=96,
        patch_size=12,
        num_labels=class_count,
    )
    network: nn.Module = ViTForImageClassification(config)
    return network
