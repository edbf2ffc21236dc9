"""Which tensors of a training's file are taken, and the line where none fit."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from converters.architectures.name import Architecture
from converters.loading.sandbox.limits import Limits
from converters.loading.sandbox.messages import ChildRequest, SourceKind
from converters.loading.weights.open_weights import Opened, open_pickle
from edge.errors import ConfigError, ModelError
from tests.support.networks.tiny_network import TinyNetwork

State = dict[str, Tensor]
TINY = Architecture("tests.support.networks.tiny_network:TinyNetwork")


def opened(
    folder: Path, content: Any, architecture: Architecture | None = TINY, classes: int = 3
) -> Opened:
    torch.save(content, folder / "a.pt")
    request = ChildRequest("a.pt", "0" * 64, architecture, classes, trusted=False, limits=Limits())
    return open_pickle(folder / "a.pt", request)


@pytest.fixture
def good() -> State:
    torch.manual_seed(5)
    network = TinyNetwork(3)
    state = network.state_dict()
    nn.init.normal_(state["first.1.running_mean"])
    return state


def wrong(state: State) -> State:
    return {name: tensor * 0 for name, tensor in state.items()}


def under(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def parameters(state: State) -> State:
    return {n: t for n, t in state.items() if "running" not in n and "num_batches" not in n}


def holds(module: nn.Module, state: State) -> bool:
    found = module.state_dict()
    return all(torch.equal(found[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize(
    ("build", "facts"),
    [
        (lambda s: under("backbone.", s), {"prefix": "backbone.", "left_out": []}),
        (
            lambda s: {"state_dict": under("module.encoder.", s) | {"loss.weight": torch.ones(3)}},
            {
                "key": "state_dict",
                "ema": False,
                "prefix": "module.encoder.",
                "left_out": ["loss.weight"],
            },
        ),
        (
            lambda s: {"state_dict": under("net.", wrong(s)) | under("net_ema.module.", s)},
            {"key": "state_dict", "ema": True, "prefix": "net_ema.module."},
        ),
        (lambda s: {"params": wrong(s), "params_ema": s}, {"key": "params_ema", "ema": True}),
        (lambda s: {"weights": {"net": s}}, {"key": "weights.net", "ema": False}),
        (
            lambda s: {"ema": parameters(wrong(s)), "model": s},
            {
                "key": "model",
                "ema": False,
                "not_taken": "ema: 2 tensors are missing, such as first.1.running_mean",
            },
        ),
        (lambda s: s | {"criterion.weight": torch.ones(3)}, {"left_out": ["criterion.weight"]}),
        (lambda s: s | {"first.0.total_ops": torch.ones(1)}, {"left_out": ["first.0.total_ops"]}),
        (lambda s: {n.replace("first.", "first._orig_mod."): t for n, t in s.items()}, {}),
        (lambda s: {n: t for n, t in s.items() if "num_batches" not in n}, {}),
        (lambda s: {"student": s, "teacher": dict(s)}, {"key": "student", "ema": False}),
        (lambda s: {n: t.numpy() for n, t in s.items()}, {}),
    ],
    ids=[
        *("prefix", "two_prefixes", "ema_prefix", "params_ema", "other_keys", "ema_lacks_buffers"),
        *("loss", "profiled", "part_compiled", "old_torch", "saved_twice", "numpy"),
    ],
)
def test_weights_of_a_training_are_found(
    tmp_path: Path, good: State, build: Callable[[State], Any], facts: dict[str, Any]
) -> None:
    found = opened(tmp_path, build(good))
    assert holds(found.module, {n: t for n, t in good.items() if "num_batches" not in n})
    assert {key: found.facts[key] for key in facts} == facts


class Callback:
    """An object of a training's own beside the weights."""


def test_objects_beside_the_weights_are_left_and_named(tmp_path: Path, good: State) -> None:
    found = opened(tmp_path, {"state_dict": good, "callbacks": [Callback()]})
    assert found.kind is SourceKind.CHECKPOINT
    assert holds(found.module, good)
    assert [name.rpartition(".")[2] for name in found.facts["not_run"]] == ["Callback"]


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_precision_are_taken_in_fp32_and_said(
    tmp_path: Path, good: State, kind: torch.dtype
) -> None:
    stored = {n: t.to(kind) if t.is_floating_point() else t for n, t in good.items()}
    found = opened(tmp_path, stored)
    assert found.facts["stored_as"] == [str(kind).removeprefix("torch.")]
    taken = found.module.state_dict()
    assert taken["classifier.weight"].dtype == torch.float32
    assert torch.equal(taken["classifier.weight"], stored["classifier.weight"].float())


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (
            lambda s: {n.replace("classifier", "fc"): t for n, t in s.items()},
            ['"classifier.weight", "classifier.bias"', '"fc.weight", "fc.bias"'],
        ),
        (lambda s: s | {"aux.weight": torch.ones(3)}, ['Unexpected key(s) in state_dict: "aux.w']),
        (lambda s: {"ema": parameters(s)}, ["under 'ema'", "statistics are missing"]),
        (lambda s: {"ema": parameters(s), "model": parameters(s)}, ["statistics are missing"]),
        (
            lambda s: {"student": s, "teacher": wrong(s)},
            ["two sets of weights that fit, 'student' and 'teacher'"],
        ),
        (
            lambda s: under("student.", s) | under("teacher.", wrong(s)),
            ["two sets of weights that fit, 'student' and 'teacher'"],
        ),
        (
            lambda s: s | {"classifier.weight": torch.ones(7, 8), "classifier.bias": torch.ones(7)},
            ["classifier.weight is (7, 8), not (3, 8)", "7 outputs and the card names 3"],
        ),
        (
            lambda s: {n: (t * 9).to(torch.int8) for n, t in s.items()},
            ["is quantized already (it has ", " in int8)", "Give the float model"],
        ),
        (
            lambda s: (
                {n: t for n, t in s.items() if "classifier" not in n}
                | {"classifier.scale": torch.ones(1), "classifier.zero_point": torch.ones(1)}
            ),
            ["was quantized"],
        ),
        (
            lambda s: (
                {n.replace("classifier.weight", "classifier.weight_orig"): t for n, t in s.items()}
                | {"classifier.weight_mask": torch.ones(3, 8)}
            ),
            ["was pruned"],
        ),
        (lambda s: list(s.values()), ["holds a list of 10 (Tensor), without a state dict"]),
        (lambda _: {"optimizer": {"lr": 0.1}, "best": 3}, ["a dictionary of optimizer, best"]),
    ],
    ids=[
        *("other_head", "extra_head", "ema_alone", "no_buffers", "two_fit", "two_prefixes_fit"),
        *("classes", "int8", "quantized", "pruned", "list", "no_tensors"),
    ],
)
def test_weights_that_do_not_fit_are_one_line_with_the_names(
    tmp_path: Path, good: State, build: Callable[[State], Any], said: list[str]
) -> None:
    with pytest.raises(ModelError) as caught:
        opened(tmp_path, build(good))
    message = str(caught.value)
    for part in said:
        assert part in message
    assert "\n" not in message
    assert len(message) < 800
    assert "opy it again" not in message


class Learner:
    """Stands for one of fastai, by its name."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model


@pytest.mark.parametrize(
    ("module", "advice"),
    [
        ("fastai.learner", "It is an exported Learner of fastai"),
        ("ultralytics.nn.tasks", "export it with yolo export format=onnx"),
        ("mylab.training", "is a pickled Python object"),
    ],
)
def test_object_of_a_library_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, advice: str
) -> None:
    for end in range(1, module.count(".") + 2):
        name = ".".join(module.split(".")[:end])
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    vars(sys.modules[module])["Learner"] = Learner
    monkeypatch.setattr(Learner, "__module__", module)
    with pytest.raises(ModelError) as caught:
        opened(tmp_path, Learner(TinyNetwork(3)))
    assert advice in str(caught.value)
    assert f"it names {module}.Learner" in str(caught.value)


def test_thousands_of_wrong_names_stay_one_short_line(tmp_path: Path, good: State) -> None:
    many = {f"layer{n}.{'deep.' * 20}weight": torch.ones(1) for n in range(3000)}
    with pytest.raises(ModelError, match="and 2997 more") as caught:
        opened(tmp_path, good | many)
    assert len(str(caught.value)) < 800


def test_file_without_an_architecture_says_how_to_name_one(tmp_path: Path, good: State) -> None:
    with pytest.raises(ConfigError, match="the card names no architecture"):
        opened(tmp_path, good, None)
