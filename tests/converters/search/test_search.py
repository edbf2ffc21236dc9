"""Rescue: a network that INT8 breaks gets its worst layers back in float."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml

from converters.accuracy.comparison import Evidence, Validation
from converters.accuracy.gate import Check, Gate, judge, missed_limits
from converters.calibration.calibration import calibrate
from converters.calibration.ranges import choose_ranges
from converters.correction.float_run import run_float
from converters.export.torch_to_onnx import source_to_onnx
from converters.inputs.card import read_card
from converters.inputs.image_set import image_batches, load_images
from converters.int8.onnx_to_int8 import Int8Model, quantizable_tensors
from converters.layers.macs import layer_macs
from converters.layers.placement import TENSORRT, WEIGHTED, X86, X86_7BIT, Placement
from converters.loading.checkpoint import open_model
from converters.search import search as quantization
from converters.search.judging import Judging
from converters.search.probing import NO_NUMBERS, LayerEffect, probe_divergence, rank_layers
from converters.search.search import find_graph
from converters.search.task import SearchTask, build
from converters.targets.quantized import rebuild_like
from edge.errors import AccuracyGateError
from tests.support.networks.tiny_network import CARD

FRAGILE = "tests.support.networks.fragile_network:build"


@pytest.fixture(scope="module")
def fragile(model_origin: Path, tmp_path_factory: pytest.TempPathFactory) -> SearchTask:
    """Trained, exported and calibrated once; `task` sees that no test changes it."""
    folder = Path(shutil.copytree(model_origin, tmp_path_factory.mktemp("fragile") / "model"))
    return make_task(folder)


@pytest.fixture
def task(fragile: SearchTask) -> Iterator[SearchTask]:
    before = state(fragile)
    yield fragile
    assert state(fragile) == before


def state(task: SearchTask) -> bytes:
    """All that a search reads, as bytes."""
    model = task.model.SerializeToString(deterministic=True)
    return pickle.dumps((model, task.calibration, task.reference, task.probe, task.macs))


def make_task(folder: Path) -> SearchTask:
    from tests.support.networks.fragile_network import train_fragile_network

    torch.save(train_fragile_network().state_dict(), folder / "fragile.pt")
    (folder / "fragile.yaml").write_text(yaml.safe_dump({**CARD, "architecture": FRAGILE}))
    card = read_card(folder / "fragile.yaml")
    images = load_images(folder / "calibration")
    (probe,) = image_batches(images, card.input, len(images.files))
    fp32 = source_to_onnx(open_model(folder / "fragile.pt", card, probe), card.input)
    tensors = quantizable_tensors(fp32, X86, TENSORRT)
    validation = Validation.from_images(
        load_images(folder / "validation", card.classes), card.classes
    )
    reference = run_float(fp32, probe)
    return SearchTask(
        model=fp32,
        calibration=calibrate(fp32, tensors, images, card.input, lambda *_: None),
        spec=card.input,
        reference=reference,
        probe=reference,
        judge=Judging(fp32, card, validation, Gate(), lambda *_: None),
        on_progress=lambda *_: None,
    )


def conv_names(model: onnx.ModelProto) -> list[str]:
    return [node.name for node in model.graph.node if node.op_type == "Conv"]


@pytest.mark.parametrize("placement", [X86, TENSORRT], ids=lambda p: p.name)
def test_find_graph_of_network_that_int8_breaks_keeps_few_layers_in_float(
    task: SearchTask, placement: Placement
) -> None:
    result = find_graph(task, placement)
    assert any(not check.holds for check in result.naive_checks)
    assert result.holds
    assert 1 <= len(result.steps) <= 3
    assert result.steps[-1].missed == ()
    assert result.int8_share >= 0.6
    drop = result.evidence.drop_points()
    assert drop is not None
    assert drop <= 1
    weighted = {n.name for n in task.model.graph.node if n.op_type in WEIGHTED}
    kept = {step.kept_float for step in result.steps}
    assert set(result.int8.float_layers) == kept & weighted
    assert kept & weighted


def refusing_until_float(task: SearchTask, layer: str, placement: Placement) -> SearchTask:
    """The task with a gate that finds a lost class while `layer` of a placement is in INT8."""

    def judge(int8: Int8Model, of: Placement) -> tuple[Evidence, list[Check]]:
        evidence, _ = task.judge(int8, of)
        holds = of != placement or layer in int8.float_layers
        return evidence, [Check("class loss", 0.01, 0.05, holds, "INT8 loses 7 images of blue")]

    return replace(task, judge=judge)


def test_find_graph_where_a_class_loses_puts_layers_back_until_it_does_not(
    task: SearchTask,
) -> None:
    layer = conv_names(task.model)[1]
    result = find_graph(refusing_until_float(task, layer, X86), X86)
    assert result.holds
    assert not missed_limits(result.checks)
    assert result.steps[-1].kept_float == layer
    assert {step.missed for step in result.steps[:-1]} <= {("class loss",)}


def test_graph_in_the_form_of_another_is_rescued_by_itself(task: SearchTask) -> None:
    layer = conv_names(task.model)[1]
    refusing = refusing_until_float(task, layer, X86_7BIT)
    first = find_graph(refusing, X86)
    related = rebuild_like(refusing, X86_7BIT, first)
    assert first.steps == []
    assert related.holds
    assert layer in related.int8.float_layers


def test_find_graph_takes_the_plain_graph_where_the_correction_makes_it_worse(
    task: SearchTask,
) -> None:
    # With all layers in INT8 this network is beyond what rounding and biases can mend.
    accepting = replace(task, judge=lambda int8, of: (task.judge(int8, of)[0], []))
    broken = find_graph(accepting, X86)
    assert not broken.correction.is_kept
    assert broken.correction.after > broken.correction.before
    plain = build(accepting, X86, broken.ranges, kept_float=(), is_corrected=False)
    assert broken.int8.model.SerializeToString() == plain.model.SerializeToString()
    rescued = find_graph(task, X86)
    assert rescued.correction.is_kept


def test_rank_layers_puts_the_layer_that_was_made_fragile_first(task: SearchTask) -> None:
    ranges = choose_ranges(task.calibration.histograms, "max", symmetric=False)
    effects = rank_layers(task, X86, ranges)
    assert [e.divergence for e in effects] == sorted((e.divergence for e in effects), reverse=True)
    # The second convolution reads the activation whose channels differ a thousandfold.
    assert effects[0].name == conv_names(task.model)[1]


def test_find_graph_of_a_network_without_a_layer_to_quantize_is_no_int8(task: SearchTask) -> None:
    # As where every weight is computed: no layer has ranges.
    unknown = replace(task, calibration=replace(task.calibration, histograms={}))
    with pytest.raises(AccuracyGateError, match="none of the network's layers"):
        find_graph(unknown, X86)


def test_find_graph_where_nothing_helps_ends_without_passing(task: SearchTask) -> None:
    def impossible(int8: Int8Model, of: Placement) -> tuple[Evidence, list[Check]]:
        evidence, _ = task.judge(int8, of)
        return evidence, judge(evidence, Gate(max_divergence=0.0))

    result = find_graph(replace(task, judge=impossible), X86)
    assert not result.holds
    assert result.int8_share >= 0.5


def test_find_graph_is_repeatable(task: SearchTask, onnx_checker: Callable[[bytes], None]) -> None:
    first, second = (find_graph(task, X86) for _ in range(2))
    content = first.int8.model.SerializeToString(deterministic=True)
    onnx_checker(content)
    assert content == second.int8.model.SerializeToString(deterministic=True)
    assert np.array_equal(first.evidence.candidate, second.evidence.candidate)


def refusing_with(
    task: SearchTask, divergences: list[float], judged: list[Int8Model]
) -> tuple[SearchTask, list[float]]:
    """The task with a gate that refuses every graph, as far off as the list says in turn."""
    left = list(divergences)

    def judge(int8: Int8Model, _: Placement) -> tuple[Evidence, list[Check]]:
        judged.append(int8)
        evidence, _checks = task.judge(int8, X86)
        value = left.pop(0) if left else divergences[-1]
        moved = replace(evidence, candidate=evidence.fp32 + np.float32(value) * WRONG)
        return moved, [Check("divergence", value, 0.0, holds=False, text=f"diverges by {value}")]

    return replace(task, judge=judge), left


# What is added to the logits: the more, the larger the divergence.
WRONG = np.asarray([1, -1, 0], np.float32)


def test_rescue_that_fails_ends_with_its_best_step_and_says_which_were_taken_back(
    task: SearchTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[Int8Model] = []
    monkeypatch.setattr(quantization, "MIN_INT8_SHARE", 0.0)
    refusing, _ = refusing_with(task, [9, 8, 7, 1, 5, 6], judged)
    result = find_graph(refusing, X86)
    assert not result.holds
    # Naive, other ranges where they differ, then one layer after another.
    best = 3
    assert result.checks[0].found == 1
    assert result.int8 is judged[best]
    tried = [step.is_kept for step in result.steps]
    first_step = len(judged) - len(tried)
    assert tried == [position <= best for position in range(first_step, len(judged))]
    assert len(result.kept_float) < len(tried)
    assert set(result.int8.float_layers) <= set(result.kept_float)


def test_rescue_where_nothing_helps_keeps_the_graph_that_it_began_with(
    task: SearchTask,
) -> None:
    judged: list[Int8Model] = []
    refusing, _ = refusing_with(task, [1, 5, 6, 7], judged)
    result = find_graph(refusing, X86)
    assert result.int8 is judged[0]
    assert result.kept_float == []
    assert result.steps
    assert result.checks[0].found == 1


def test_rescue_gives_up_after_layers_in_turn_that_bring_nothing(
    task: SearchTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization, "MIN_INT8_SHARE", 0.0)
    monkeypatch.setattr(quantization, "PATIENCE", 2)
    refusing, _ = refusing_with(task, [1, 5, 6, 7, 8, 9], [])
    assert len(find_graph(refusing, X86).steps) == 2


def test_rescue_passes_over_a_layer_that_is_too_large_and_tries_the_next(
    task: SearchTask,
) -> None:
    macs = layer_macs(task.model)
    largest = max(macs, key=lambda name: macs[name])
    refusing, _ = refusing_with(task, [1.0], [])
    ranked = LayerEffect(largest, 9.0), *(LayerEffect(n, 1.0) for n in macs if n != largest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantization, "rank_layers", lambda *_: list(ranked))
        patch.setattr(quantization, "MIN_INT8_SHARE", macs[largest] / sum(macs.values()))
        result = find_graph(refusing, X86)
    assert [step.kept_float for step in result.steps] == [e.name for e in ranked[1:]]


def test_rank_layers_leaves_out_what_is_in_float_in_any_case(task: SearchTask) -> None:
    # Additions of a constant are never quantized, whatever their place.
    model = onnx.ModelProto()
    model.CopyFrom(task.model)
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    shifted = onnx.helper.make_node("Add", ["shifted_conv", "shift"], [conv.output[0]], "shift")
    conv.output[0] = "shifted_conv"
    position = next(i for i, node in enumerate(model.graph.node) if node.name == conv.name)
    model.graph.node.insert(position + 1, shifted)
    shift = onnx.numpy_helper.from_array(np.zeros((), np.float32), "shift")
    model.graph.initializer.append(shift)
    ranges = choose_ranges(task.calibration.histograms, "max", symmetric=False)
    names = [effect.name for effect in rank_layers(replace(task, model=model), X86, ranges)]
    assert "shift" not in names
    assert conv.name in names


def test_graph_without_numbers_diverges_most_and_is_refused_for_that(task: SearchTask) -> None:
    int8 = build(
        task,
        X86,
        choose_ranges(task.calibration.histograms, "max", symmetric=False),
        kept_float=(),
        is_corrected=False,
    )
    broken = onnx.ModelProto()
    broken.CopyFrom(int8.model)
    (last,) = (node for node in broken.graph.node if node.output[0] == "logits")
    last.output[0] = "finite"
    infinite = onnx.numpy_helper.from_array(np.asarray(np.inf, np.float32), "infinite")
    broken.graph.initializer.append(infinite)
    broken.graph.node.append(onnx.helper.make_node("Add", ["finite", "infinite"], ["logits"]))
    without = replace(int8, model=broken)
    assert probe_divergence(task, X86, without) == NO_NUMBERS
    evidence, checks = task.judge(without, X86)
    assert missed_limits(checks)[0].text == "INT8 gives NaN or infinite logits on 48 of 48 images"
    assert np.isfinite(evidence.divergence.value)
