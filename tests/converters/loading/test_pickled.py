"""Pickles are read as data: right values, in all formats, and nothing of them runs."""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import enum
import functools
import io
import os
import pickle
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from converters.loading.pickled.machine import PickleError, RecordedCall
from converters.loading.pickled.plain import as_mapping, dangerous, other_than_data
from converters.loading.pickled.tensors import as_tensor
from converters.loading.pickled.torch_file import read_torch_file

Write = Callable[[Any, Path], object]


@pytest.fixture
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(5, 2))
    return dict(network.state_dict()) | {
        "transposed": torch.arange(6.0).reshape(2, 3).T,
        "slice": torch.arange(10)[2:5],
        "half": torch.randn(3).half(),
        "brain": torch.randn(3).bfloat16(),
        "empty": torch.zeros(0, 3),
        "unsigned": torch.tensor([1, 2], dtype=torch.uint16),
        "parameter": nn.Parameter(torch.ones(2)),
    }


def save_old(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def dump(protocol: int) -> Write:
    return lambda content, path: path.write_bytes(pickle.dumps(content, protocol))


@pytest.mark.parametrize(
    "write",
    [torch.save, save_old, *map(dump, (2, 3, 4, 5))],
    ids=["zip", "old", "pickle2", "pickle3", "pickle4", "pickle5"],
)
def test_tensors_of_every_format_are_those_that_were_saved(
    tmp_path: Path, state: dict[str, Tensor], write: Write
) -> None:
    write({"state_dict": state, "epoch": 3}, tmp_path / "a.pt")
    content = read_torch_file(tmp_path / "a.pt")
    assert content.tree["epoch"] == 3
    found = content.tree["state_dict"]
    assert list(found) == list(state)
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    assert other_than_data(content.names) == []


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_of_numpy_become_tensors(tmp_path: Path, protocol: int) -> None:
    arrays = {
        "c": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "swapped": np.arange(3, dtype=">f4"),
        "scalar": np.array(7),
    }
    (tmp_path / "a").write_bytes(pickle.dumps(arrays, protocol))
    content = read_torch_file(tmp_path / "a")
    for name, array in arrays.items():
        tensor = as_tensor(content.tree[name])
        assert tensor is not None
        np.testing.assert_array_equal(tensor.numpy(), array)
    assert other_than_data(content.names) == []


@pytest.mark.parametrize(
    "name",
    [
        *("pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PureWindowsPath"),
        *("pathlib._local.PosixPath", "pathlib._local.WindowsPath", "pathlib._local.PurePosixPath"),
    ],
)
def test_folders_of_every_python_and_system_are_texts(tmp_path: Path, name: str) -> None:
    module, _, kind = name.rpartition(".")
    made = f"c{module}\n{kind}\n".encode()
    (tmp_path / "a").write_bytes(b"\x80\x02" + made + b"(X\x01\x00\x00\x00/X\x03\x00\x00\x00labtR.")
    content = read_torch_file(tmp_path / "a")
    assert content.tree == "/lab"
    assert other_than_data(content.names) == []


class Settings(dict[str, Any]):
    """A dictionary of a training's own, as Lightning's AttributeDict."""


class Mode(enum.Enum):
    FAST = 1


class Marks:
    """Makes a folder when it is loaded by Python's own unpickler."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_objects_of_a_training_are_told_of_and_not_made(tmp_path: Path, protocol: int) -> None:
    content = {
        "args": argparse.Namespace(lr=0.1, when=dt.datetime(2026, 1, 1)),  # noqa: DTZ001
        "settings": Settings(width=4),
        "mode": Mode.FAST,
        "space": types.SimpleNamespace(a=1),
        "part": functools.partial(int, base=2),
        "sets": [{1, 2}, frozenset({3}), collections.OrderedDict(a=1)],
        "default": collections.defaultdict(list, {"k": [1]}),
    }
    (tmp_path / "a").write_bytes(pickle.dumps(content, protocol))
    read = read_torch_file(tmp_path / "a")
    tree = read.tree
    assert (as_mapping(tree["args"]) or {})["lr"] == 0.1
    assert as_mapping(tree["settings"]) == {"width": 4}
    assert as_mapping(tree["space"]) == {"a": 1}
    assert sorted(tree["sets"][0]) == [1, 2]
    assert tree["sets"][1:] == [[3], {"a": 1}]
    assert tree["default"] == {"k": [1]}
    assert isinstance(tree["mode"], RecordedCall)
    assert isinstance(tree["part"], RecordedCall)
    assert {"Settings", "Mode"} <= {name.rpartition(".")[2] for name in other_than_data(read.names)}
    assert dangerous(read.names) == []


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_code_in_a_pickle_is_named_and_does_not_run(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "executed"
    (tmp_path / "a").write_bytes(pickle.dumps([Marks(marker)], protocol))
    read = read_torch_file(tmp_path / "a")
    assert not marker.exists()
    assert [name.rpartition(".")[2] for name in dangerous(read.names)] == ["mkdir"]
    assert isinstance(read.tree[0], RecordedCall)
    assert read.tree[0].arguments == (str(marker),)


@pytest.mark.parametrize(
    "name", ["builtins.eval", "subprocess.Popen", "os.system", "shutil.rmtree"]
)
def test_names_that_reach_the_system_are_told_apart(name: str) -> None:
    plain = ("collections.OrderedDict", "builtins.set", "mylab.Net", "torch.FloatStorage")
    assert dangerous((*plain, name)) == [name]
    assert other_than_data((*plain, name)) == ["mylab.Net", name]


def changed(path: Path, entry: str, change: Callable[[bytes], bytes]) -> None:
    """Rewrite one entry of a torch file, with a right checksum."""
    result = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(result, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, change(content) if name.endswith(entry) else content)
    path.write_bytes(result.getvalue())


@pytest.mark.parametrize(
    ("entry", "change", "said"),
    [
        ("data.pkl", lambda content: content[: len(content) // 2], "its pickle is damaged"),
        ("data.pkl", lambda _: b"\x80\x02\x82\x01.", "its pickle uses EXT1"),
        ("data.pkl", lambda _: b"\x80\x02a.", "its pickle is damaged"),
        ("data.pkl", lambda _: b"\x80\x02K\x05Q.", "not the storage of a tensor"),
        ("data/0", lambda content: content[:-4], "larger than its data"),
        ("byteorder", lambda _: b"big", "big-endian"),
    ],
)
def test_file_that_lies_about_itself_is_refused(
    tmp_path: Path, entry: str, change: Callable[[bytes], bytes], said: str
) -> None:
    path = tmp_path / "a.pt"
    torch.save({"w": torch.ones(8)}, path)
    changed(path, entry, change)
    with pytest.raises(PickleError, match=said):
        read_torch_file(path)


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_truncated_old_file_is_refused(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "a.pt"
    save_old({"w": torch.ones(800)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(PickleError):
        read_torch_file(path)


def test_a_view_beyond_its_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"w": torch.ones(8)}, path)
    # The count of the tensor, where the storage's own comes first.
    changed(path, "data.pkl", lambda c: c.replace(b"K\x08\x85", b"K\x09\x85"))
    with pytest.raises(PickleError, match="larger than its data"):
        read_torch_file(path)
