"""Every standard network that the tests build passes the list of operators, however it is saved."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from converters.loading.checks.allowed import ATEN, EXPORTED_ONLY
from converters.loading.checks.exported import find_disallowed
from converters.loading.checks.torchscript import check_torchscript
from tests.support.networks.networks import NETWORKS


class Transformer(nn.Module):
    """Patches, attention, layer norm, GELU, a position table that is resized, and a unit vector."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.positions = nn.Parameter(torch.zeros(1, 16, 4, 4))
        self.norm = nn.LayerNorm(16)
        self.to_qkv = nn.Linear(16, 48)
        self.mix = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Dropout(0.1), nn.Linear(32, 16))
        self.head = nn.Linear(16, 3)

    def forward(self, images: Tensor) -> Tensor:
        found = self.patches(images)
        size = [found.shape[2], found.shape[3]]
        found = found + nn.functional.interpolate(self.positions, size=size, mode="bilinear")
        tokens = found.flatten(2).transpose(1, 2)
        query, key, value = self.to_qkv(self.norm(tokens)).chunk(3, dim=-1)
        tokens = tokens + nn.functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.mix(self.norm(tokens))
        logits: Tensor = self.head(nn.functional.normalize(tokens.mean(1)))
        return logits


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    **{name: lambda build=build: build(3) for name, build in NETWORKS.items()},  # type: ignore[misc]
    "transformer": Transformer,
}
each_network = pytest.mark.parametrize("name", BUILDERS)


def images() -> Tensor:
    return torch.rand(2, 3, 64, 64)


@each_network
@pytest.mark.parametrize("how", ["scripted", "traced"])
def test_torchscript_of_a_standard_network_passes(tmp_path: Path, name: str, how: str) -> None:
    network = BUILDERS[name]().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates its own TorchScript
        module = (
            torch.jit.script(network)
            if how == "scripted"
            else torch.jit.trace(network, images(), check_trace=False)  # type: ignore[no-untyped-call]
        )
        torch.jit.save(module, tmp_path / "m.pt")
    check_torchscript(tmp_path / "m.pt", "m.pt")


@each_network
def test_exported_program_of_a_standard_network_passes(tmp_path: Path, name: str) -> None:
    """Also decomposed into fewer and simpler operators, as some exporters write it."""
    program = torch.export.export(BUILDERS[name]().eval(), (images(),))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch uses what torch deprecates
        decomposed = program.run_decompositions()
    for saved in (program, decomposed):
        buffer = io.BytesIO()
        torch.export.save(saved, buffer)
        (tmp_path / "m.pt2").write_bytes(buffer.getvalue())
        assert find_disallowed(tmp_path / "m.pt2") is None


def test_every_operator_in_the_list_is_one_of_torch() -> None:
    """A misspelt name would refuse a network, and allow what comes to have that name."""
    known = {schema.name for schema in torch._C._jit_get_all_schemas()}  # noqa: SLF001 - torch gives its operators nowhere else
    # The form in place is made of every elementwise name, and some have none.
    names = {n for n in ATEN | EXPORTED_ONLY if n.removesuffix("_") not in ATEN or n[-1] != "_"}
    missing = names - known
    assert missing == set()
