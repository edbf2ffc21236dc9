"""Weights that a library saved in several files."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from converters.cli import main
from converters.export.export_check import sample_images
from converters.inputs.card import read_card
from converters.inputs.image_set import load_images
from converters.loading.checkpoint import SourceModel, open_model
from converters.model_files.folders import model_in
from converters.model_files.shards import card_of, parts_of
from edge.errors import ModelError

State = dict[str, Tensor]
Save = Callable[[State, Path], None]
SAFE = "model-0000{}-of-00002.safetensors"
BINARY = "pytorch_model-0000{}-of-00002.bin"


def save_binary(state: State, path: Path) -> None:
    torch.save(state, path)


def halves(folder: Path) -> tuple[State, State]:
    """The state dict of `tiny.pt` in two; the file is taken away."""
    state = torch.load(folder / "tiny.pt", weights_only=True)
    (folder / "tiny.pt").unlink()
    names = list(state)
    first = {name: state[name] for name in names[: len(names) // 2]}
    return first, {name: state[name] for name in names if name not in first}


def shard(folder: Path, name: str, save: Save, *, index: bool = True) -> Path:
    """Save `tiny.pt` as two files, and give the index."""
    parts = halves(folder)
    for number, part in enumerate(parts, 1):
        save(part, folder / name.format(number))
    stem, suffix = name.split("-", maxsplit=1)[0], name.rpartition(".")[2]
    path = folder / f"{stem}.{suffix}.index.json"
    if index:
        places = {n: name.format(1 + (n in parts[1])) for part in parts for n in part}
        path.write_text(json.dumps({"metadata": {"total_size": 9}, "weight_map": places}))
    return path


def opened(folder: Path, path: Path) -> SourceModel:
    card = read_card(folder / "tiny.yaml")
    images = load_images(folder / "validation", card.classes)
    return open_model(path, card, sample_images(images, card))


@pytest.mark.parametrize(
    ("name", "save"), [(SAFE, save_file), (BINARY, save_binary)], ids=["safetensors", "bin"]
)
def test_bundle_of_weights_in_two_files_says_what_was_read(
    model_folder: Path, name: str, save: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = opened(model_folder, model_folder / "tiny.pt")
    index = shard(model_folder, name, save)
    (model_folder / "tiny.yaml").rename(card_of(index))
    out = model_folder / "out.edge"
    assert main([str(model_folder), "--out", str(out)]) == 0, capsys.readouterr().err
    source = json.loads((out / "manifest.json").read_bytes())["source"]
    names = [name.format(1), name.format(2)]
    assert source["file"] == index.name
    assert source["parts"] == [
        {"file": n, "sha256": hashlib.sha256((model_folder / n).read_bytes()).hexdigest()}
        for n in names
    ]
    lines = subprocess.run(["sha256sum", *names], cwd=model_folder, capture_output=True, check=True)
    assert source["sha256"] == hashlib.sha256(lines.stdout).hexdigest()
    card_of(index).rename(model_folder / "tiny.yaml")
    again = opened(model_folder, model_folder / names[1])
    assert again.sample_logits.tolist() == whole.sample_logits.tolist()


def test_parts_without_an_index_are_found_by_their_numbers(model_folder: Path) -> None:
    index = shard(model_folder, SAFE, save_file, index=False)
    second = model_folder / SAFE.format(2)
    assert [part.name for part in parts_of(model_in(second))] == [SAFE.format(1), SAFE.format(2)]
    assert parts_of(model_in(model_folder)) == parts_of(second)
    assert card_of(second) == card_of(index) == model_folder / "model.yaml"


def test_new_card_of_weights_in_two_files_has_one_name(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = shard(model_folder, SAFE, save_file)
    assert main(["--new-card", str(model_folder / SAFE.format(1))]) == 0
    text = (model_folder / "model.yaml").read_text()
    assert f'name: "{model_folder.name}"' in text
    assert "3: a guess: the size of classifier.weight" in text
    assert str(index) in capsys.readouterr().out


def change(index: Path, edit: Callable[[dict[str, str]], None]) -> None:
    values = json.loads(index.read_text())
    edit(values["weight_map"])
    index.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda i: (i.parent / SAFE.format(2)).unlink(), "00002.safetensors is not beside it"),
        (lambda i: change(i, lambda m: m.update(a="../x.safetensors")), "names '../x.safetensors'"),
        (lambda i: change(i, lambda m: m.update(a="/etc/passwd")), "must be a file beside it"),
        (lambda i: change(i, lambda m: m.update(a="..")), "must be a file beside it"),
        (lambda i: change(i, lambda m: m.clear()), "it has no weight_map"),
        (lambda i: i.write_text("{"), "is not complete JSON .*Copy it again"),
        (lambda i: i.write_text("version https://git-lfs.github.com/spec/v1"), "Run git lfs pull"),
    ],
    ids=["missing", "outside", "absolute", "parent", "empty", "cut", "lfs"],
)
def test_index_that_leads_nowhere_is_refused_in_one_line(
    model_folder: Path, edit: Callable[[Path], Any], said: str
) -> None:
    index = shard(model_folder, SAFE, save_file)
    edit(index)
    with pytest.raises(ModelError, match=said):
        parts_of(index)


def test_parts_that_are_not_of_one_model_are_refused(model_folder: Path) -> None:
    state = torch.load(model_folder / "tiny.pt", weights_only=True)
    index = shard(model_folder, SAFE, save_file)
    second = model_folder / SAFE.format(2)
    save_file(state, second)
    with pytest.raises(ModelError, match=r"both model-00001.* and model-00002.* hold first.0.weig"):
        opened(model_folder, index)
    torch.save({"a": torch.zeros(2)}, second)
    with pytest.raises(ModelError, match=r"00002.* is state_dict, and .*00001.* is safetensors"):
        opened(model_folder, index)
    second.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match=r"00002-of-00002.safetensors is a pointer of Git LFS"):
        opened(model_folder, index)


def test_folder_without_a_model_says_what_was_needed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"without model.safetensors or pytorch_model.bin or mo"):
        model_in(tmp_path)
    for name in ("best.ckpt", "last.pth", "train.log"):
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match=r"is a folder that holds best.ckpt, last.pth. Give the"):
        model_in(tmp_path)
