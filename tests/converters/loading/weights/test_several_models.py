"""Files that hold more than one set of weights, or a network where none is usual."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from converters.architectures.name import Architecture
from converters.loading.sandbox.limits import Limits
from converters.loading.sandbox.messages import ChildRequest, SourceKind
from converters.loading.weights.open_weights import Opened, open_pickle
from edge.errors import ModelError
from tests.support.networks.tiny_network import TinyNetwork

State = dict[str, Any]
TINY = Architecture("tests.support.networks.tiny_network:TinyNetwork")


def opened(folder: Path, content: Any, *, trusted: bool = False) -> Opened:
    torch.save(content, folder / "a.pt")
    digest = hashlib.sha256((folder / "a.pt").read_bytes()).hexdigest()
    request = ChildRequest("a.pt", digest, TINY, 3, trusted=trusted, limits=Limits())
    return open_pickle(folder / "a.pt", request)


def network(seed: int) -> TinyNetwork:
    torch.manual_seed(seed)
    return TinyNetwork(3)


def holds(module: nn.Module, wanted: nn.Module) -> bool:
    found = module.state_dict()
    return all(torch.equal(found[name], t) for name, t in wanted.state_dict().items())


def under(prefix: str, module: nn.Module) -> State:
    return {prefix + name: tensor for name, tensor in module.state_dict().items()}


def averaging(good: nn.Module) -> State:
    """As an averaging object saves itself: the weights as they were last lie beside it."""
    return {
        "step": torch.tensor(9),
        **under("online_model.", network(2)),
        **under("ema_model.", good),
    }


@pytest.mark.parametrize(
    ("build", "key"),
    [
        (lambda m: [m.state_dict(), {"state": {0: {}}, "param_groups": [{"lr": 0.1}]}], "0"),
        (lambda m: (3, m.state_dict()), "1"),
        (lambda m: {"models": [m.state_dict()]}, "models.0"),
        (lambda m: [m.state_dict(), {"head.weight": torch.zeros(2)}], "0"),
        (lambda m: {"model": network(2).state_dict(), "ema": averaging(m)}, "ema"),
        (
            lambda m: {
                "ema": {"online_model": network(2).state_dict(), "ema_model": m.state_dict()}
            },
            "ema.ema_model",
        ),
    ],
    ids=["optimiser", "epoch", "one_model", "one_fits", "averaging", "averaging_keys"],
)
def test_only_weights_that_fit_are_taken(
    tmp_path: Path, build: Callable[[nn.Module], Any], key: str
) -> None:
    good = network(1)
    found = opened(tmp_path, build(good))
    assert holds(found.module, good)
    assert found.facts["key"] == key
    assert found.kind is SourceKind.CHECKPOINT


def test_ensemble_is_refused_with_the_places_of_its_members(tmp_path: Path) -> None:
    states = [network(seed).state_dict() for seed in range(6)]
    with pytest.raises(ModelError, match=r"two sets of weights that fit, '0' and '1'. Save"):
        opened(tmp_path, states[:2])
    with pytest.raises(
        ModelError, match=r"6 sets .* 'folds.0', 'folds.1', 'folds.2', 'folds.3'. S"
    ):
        opened(tmp_path, {"folds": states})
    assert opened(tmp_path, [states[0], dict(states[0])]).facts["key"] == "0"


@pytest.mark.parametrize(
    ("build", "key"),
    [
        (lambda m: (3, m), "1"),
        (lambda m: {"epoch": 3, "network": m}, "network"),
        (lambda m: {"network": m, "loss": nn.CrossEntropyLoss()}, "network"),
        (lambda m: {"network": network(2), "network_ema": m}, "network_ema"),
        (lambda m: nn.ModuleList([m]), "0"),
        (nn.DataParallel, None),
        (lambda m: {"model": nn.DataParallel(m)}, "model"),
    ],
    ids=["epoch", "network", "loss", "average", "module_list", "parallel", "parallel_model"],
)
def test_trusted_file_s_only_network_is_taken(
    tmp_path: Path, build: Callable[[nn.Module], Any], key: str | None
) -> None:
    good = network(1)
    found = opened(tmp_path, build(good), trusted=True)
    assert isinstance(found.module, TinyNetwork)
    assert holds(found.module, good)
    assert found.facts.get("key") == key
    assert found.kind is SourceKind.PICKLED_MODULE


def test_trusted_file_of_two_networks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds 2 networks, under '0', '1'. Save the one"):
        opened(tmp_path, [network(1), network(2)], trusted=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "kind", ["dynamic", "dynamic_module", "tensors", "int8", "int8_scales", "float8"]
)
def test_weights_that_torch_quantized_are_called_quantized(tmp_path: Path, kind: str) -> None:
    module = network(1)
    state = module.state_dict()
    weights = {name: t for name, t in state.items() if t.dim() > 1}
    quantize: Any = torch.ao.quantization.quantize_dynamic
    dynamic = quantize(module, {nn.Linear}, dtype=torch.qint8)
    contents = {
        "dynamic": dynamic.state_dict(),
        "dynamic_module": dynamic,
        "tensors": state
        | {n: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8) for n, t in weights.items()},
        "int8": state | {n: t.to(torch.int8) for n, t in weights.items()},
        "int8_scales": state
        | {n: t.to(torch.int8) for n, t in weights.items()}
        | {f"{n}_scale": torch.ones(1) for n in weights},
        "float8": state | {n: t.to(torch.float8_e4m3fn) for n, t in weights.items()},
    }
    with pytest.raises(ModelError, match=r"a.pt is quantized already \(it has .*Give the float"):
        opened(tmp_path, contents[kind])
