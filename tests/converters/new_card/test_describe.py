"""edge-convert --new-card from the outside."""

from __future__ import annotations

import argparse
import json
import os
import warnings
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
import yaml

from converters.cli import main
from converters.inputs.card import read_card
from converters.new_card.configs import read_configs
from edge.errors import ConfigError
from tests.support.networks.tiny_network import CARD, TinyNetwork

TIMM = {
    "architecture": "vit_tiny_patch16_224",
    "num_classes": 3,
    "label_names": ["no", "007", "grün"],
    "model_args": {"img_size": [64, 64], "num_classes": 3},
    "pretrained_cfg": {
        "input_size": [3, 64, 48],
        "interpolation": "bicubic",
        "crop_pct": 0.9,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.25],
        "license": "apache-2.0",
    },
}


def new_card(model: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str, str]:
    code = main(["--new-card", str(model), *more])
    said = capsys.readouterr()
    return code, said.out, said.err


def written(card: Path) -> dict[str, Any]:
    values = yaml.safe_load(card.read_text("utf-8"))
    assert isinstance(values, dict)
    return values


def test_new_card_of_onnx_has_its_sizes_and_marks_the_rest(
    tmp_path: Path, exported_onnx: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = onnx.load_model_from_string(exported_onnx)
    graph.metadata_props.add(key="names", value="{0: 'no', 1: 'b', 2: 'c # d'}")
    (tmp_path / "cells v2.onnx").write_bytes(graph.SerializeToString())
    code, out, err = new_card(tmp_path / "cells v2.onnx", capsys)
    assert (code, err) == (0, "reading cells v2.onnx ...\n")
    card = tmp_path / "cells v2.yaml"
    assert out == (
        f"wrote {card}: replace FILL IN in 4 places and check the guesses, then\n"
        f"  edge-convert '{tmp_path / 'cells v2.onnx'}' --int8 "
        "--calibration IMAGES --validation LABELLED\n"
        "IMAGES: some hundred exported images. "
        "LABELLED: a folder that holds a folder of images for each class.\n"
    )
    values = written(card)
    assert values["name"] == "cells-v2"
    assert values["classes"] == ["no", "b", "c # d"]
    assert "architecture" not in values
    assert (values["input"]["height"], values["input"]["width"]) == (32, 32)
    marks = [key for key, value in values["input"].items() if value == "FILL IN"]
    assert marks == ["resize", "mean", "std"]
    assert 'channels: "rgb"  # a guess: ' in card.read_text()
    with pytest.raises(
        ConfigError, match=r"still says FILL IN at version, input.resize, input.mean"
    ):
        read_card(card)


def test_new_card_that_is_filled_in_converts(
    model_folder: Path, exported_onnx: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (model_folder / "new.onnx").write_bytes(exported_onnx)
    assert new_card(model_folder / "new.onnx", capsys)[0] == 0
    card = model_folder / "new.yaml"
    text = card.read_text().replace("version: FILL IN", 'version: "1"')
    for key, value in CARD["input"].items():
        text = text.replace(f"  {key}: FILL IN", f"  {key}: {value}")
    for name in CARD["classes"]:
        text = text.replace("  - FILL IN", f"  - {name}", 1)
    card.write_text(text)
    words = [
        "--validation",
        str(model_folder / "validation"),
        "--out",
        str(model_folder / "b.edge"),
    ]
    assert main([str(model_folder / "new.onnx"), *words]) == 0


def test_new_card_of_timm_s_training_names_the_architecture(
    tmp_path: Path, tiny_network: TinyNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = argparse.Namespace(model="resnet18", gp="avg", model_kwargs={"width": 2}, lr=0.1)
    content = {"arch": "resnet18", "args": arguments, "state_dict": tiny_network.state_dict()}
    torch.save(content, tmp_path / "m.pth")
    assert new_card(tmp_path / "m.pth", capsys)[0] == 0
    values = written(tmp_path / "m.yaml")
    assert values["architecture"] == {"name": "timm:resnet18", "width": 2, "global_pool": "avg"}
    assert values["classes"] == ["FILL IN"] * 3
    assert "a guess: the size of classifier.weight" in (tmp_path / "m.yaml").read_text()


class Criterion:
    """A training's own object."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Criterion, ()


def test_new_card_of_lightning_has_what_its_hyperparameters_say(
    tmp_path: Path, tiny_network: TinyNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"model_name": "resnet18", "img_size": 96, "class_names": ["a", "b\nc: d", "e"]}
    content = {
        "state_dict": {f"net.{n}": t for n, t in tiny_network.state_dict().items()},
        "hyper_parameters": values | {"criterion": Criterion()},
    }
    torch.save(content, tmp_path / "m.ckpt")
    assert new_card(tmp_path / "m.ckpt", capsys)[0] == 0
    found = written(tmp_path / "m.yaml")
    assert found["classes"] == ["a", "b\nc: d", "e"]
    assert (found["input"]["height"], found["input"]["width"]) == (96, 96)
    assert found["architecture"] == "FILL IN"
    assert "hyper_parameters in the file says resnet18" in (tmp_path / "m.yaml").read_text()


def test_new_card_of_a_hostile_pickle_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    torch.save({"state_dict": {"w": torch.ones(4, 2)}, "args": Runs()}, tmp_path / "m.pt")
    assert new_card(tmp_path / "m.pt", capsys)[0] == 0
    assert not (tmp_path / "executed").exists()


def test_new_card_of_torchscript_reads_the_exporter_s_notes(
    tmp_path: Path, tiny_network: TinyNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = json.dumps({"imgsz": [64, 48], "names": {"0": "a", "1": "b", "2": "c"}})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates its own TorchScript
        script = torch.jit.script(tiny_network)
        torch.jit.save(script, tmp_path / "m.pt", _extra_files={"config.txt": notes})
    assert new_card(tmp_path / "m.pt", capsys)[0] == 0
    found = written(tmp_path / "m.yaml")
    assert found["classes"] == ["a", "b", "c"]
    assert (found["input"]["height"], found["input"]["width"]) == (64, 48)


def saved_folder(folder: Path, network: TinyNetwork, config: dict[str, Any]) -> Path:
    folder.mkdir()
    torch.save(network.state_dict(), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_new_card_of_a_folder_of_timm_has_all_of_its_configuration(
    tmp_path: Path, tiny_network: TinyNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = saved_folder(tmp_path / "cells", tiny_network, TIMM)
    assert new_card(folder, capsys)[0] == 0
    values = written(folder / "pytorch_model.yaml")
    assert values["name"] == "cells"
    assert values["architecture"] == {"name": "timm:vit_tiny_patch16_224", "img_size": [64, 64]}
    assert values["classes"] == ["no", "007", "grün"]
    assert values["licence"] == "apache-2.0"
    found = values["input"]
    assert (found["height"], found["width"], found["crop"]) == (64, 48, 0.9)
    assert (found["mean"], found["std"]) == ([0.5, 0.5, 0.5], [0.5, 0.5, 0.25])
    assert "# a guess: config.json says bicubic" in (folder / "pytorch_model.yaml").read_text()


def test_configuration_of_transformers_is_read(tmp_path: Path) -> None:
    config = {
        "model_type": "vit",
        "architectures": ["ViTForImageClassification"],
        "hidden_size": 32,
        "image_size": 64,
        "id2label": {"1": "b", "0": "a"},
        "transformers_version": "5",
    }
    images = {
        "size": {"shortest_edge": 256},
        "crop_size": {"height": 224, "width": 224},
        "resample": 3,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(images))
    found = read_configs(tmp_path / "model.safetensors")
    values = {
        key: getattr(found, key).value for key in ("architecture", "classes", "height", "crop")
    }
    assert values == {
        "architecture": {"name": "transformers:vit", "hidden_size": 32, "image_size": 64},
        "classes": ["a", "b"],
        "height": 224,
        "crop": 0.875,
    }


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"model_type": 3}', b"\xff", b"[" * 9999])
def test_configuration_that_is_none_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    assert read_configs(tmp_path / "m.pt").outputs is None


def test_new_card_stands_in_the_manual(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--manual"])
    assert ended.value.code == 0
    page = capsys.readouterr().out.replace("\\-", "-")
    assert "--new-card" in page
    assert "write a model card to fill in" in page


def test_new_card_replaces_none(model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (model_folder / "tiny.yaml").read_bytes()
    code, out, err = new_card(model_folder / "tiny.pt", capsys)
    assert (code, out) == (2, "")
    assert err == (
        "reading tiny.pt ...\n"
        f"error: {model_folder / 'tiny.yaml'} exists; --new-card replaces none. "
        "Give --card another name.\n"
    )
    assert (model_folder / "tiny.yaml").read_bytes() == before
    other = model_folder / "other.yaml"
    code, out, _ = new_card(model_folder / "tiny.pt", capsys, "--card", str(other))
    assert code == 0
    assert f"--card {other}" in out
    assert other.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "is an HDF5 file, as Keras writes it"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (bytes(4) + b"TFL3" + bytes(40), "is a TensorFlow Lite model"),
        (b"\x1f\x8b" + bytes(40), "is a gzip file. Unpack it"),
    ],
)
def test_file_of_another_kind_is_called_what_it_is(
    tmp_path: Path, content: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.pt").write_bytes(content)
    code, _, err = new_card(tmp_path / "m.pt", capsys)
    assert code == 3
    assert said in err
    assert "opy it again" not in err
    reading, *error = err.splitlines()
    assert reading == "reading m.pt ..."
    assert len(error) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt"]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("saved_model.pb", "is a SavedModel of TensorFlow"),
        (".metadata", "is a distributed checkpoint"),
        ("data.pkl", "is an unpacked torch file"),
    ],
)
def test_folder_of_another_kind_is_called_what_it_is(
    tmp_path: Path, entry: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / entry).write_bytes(b"x")
    code, _, err = new_card(tmp_path, capsys)
    assert code == 3
    assert said in err
