"""Model files of torch.export, and archives, that would do harm: nothing of them is run."""

from __future__ import annotations

import hashlib
import pickle
import struct
import zipfile

import pytest

from tests.faults.hostile.model_lab import Change, Laboratory, RunsCode, exported, saved
from tests.support.networks.tiny_network import TinyNetwork


def replacing(old: str, new: str, entry: str = "models/model.json") -> Change:
    def change(name: str, content: bytes) -> bytes:
        if name != entry:
            return content
        assert old.encode() in content
        return content.replace(old.encode(), new.encode(), 1)

    return change


def test_convert_exported_program_rewritten_without_change_converts(
    lab: Laboratory, network: TinyNetwork
) -> None:
    """The attacks below are refused for what they change, not for how the test writes them."""
    lab.model.write_bytes(exported(network, lambda _, content: content))
    assert lab.convert()[0] == 0


def test_convert_exported_program_with_pickled_weight_is_refused(
    lab: Laboratory, network: TinyNetwork
) -> None:
    def change(name: str, content: bytes) -> bytes:
        if name == "data/weights/weight_0":
            return saved(RunsCode(lab.marker))
        return content.replace(b'"use_pickle": false', b'"use_pickle": true', 1)

    lab.model.write_bytes(exported(network, change))
    assert "use_pickle True" in lab.refused()


def test_convert_exported_program_with_pickled_sample_input_is_not_run(
    lab: Laboratory, network: TinyNetwork
) -> None:
    """torch.export.load unpickles sample inputs without restriction when the safe way fails."""
    malice = saved((RunsCode(lab.marker),))
    change: Change = lambda n, c: malice if n == "data/sample_inputs/model.pt" else c  # noqa: E731
    lab.model.write_bytes(exported(network, change))
    assert "cannot be opened" in lab.refused()


@pytest.mark.parametrize("entry", ["data/constants/opaque_obj_0", "data/weights/model.pt"])
def test_convert_exported_program_with_unknown_entry_is_refused(
    lab: Laboratory, network: TinyNetwork, entry: str
) -> None:
    malice = pickle.dumps(RunsCode(lab.marker))
    lab.model.write_bytes(exported(network, lambda _, content: content, **{entry: malice}))
    assert f"entry {entry}" in lab.refused()


def test_convert_exported_program_with_code_in_a_shape_is_refused(
    lab: Laboratory, network: TinyNetwork
) -> None:
    code = f"__import__('os').mkdir('{lab.marker}')"
    shape = f'{{"as_expr": {{"expr_str": "{code}", "hint": {{"as_int": 2}}}}}}'
    change = replacing('"sizes": [{"as_int": 2}', f'"sizes": [{shape}')
    lab.model.write_bytes(exported(network, change))
    assert "expr_str __import__" in lab.refused()


def test_convert_exported_program_that_calls_below_torch_is_refused(
    lab: Laboratory, network: TinyNetwork
) -> None:
    change = replacing("torch.ops.aten.relu.default", "torch.os.mkdir")
    lab.model.write_bytes(exported(network, change))
    assert "target torch.os.mkdir" in lab.refused()


def test_convert_exported_program_with_code_in_a_name_is_refused(
    lab: Laboratory, network: TinyNetwork
) -> None:
    """torch writes a Python function out of the names in the file."""
    change = replacing('{"name": "images"}', '{"name": "images=__import__(\'os\')"}')
    lab.model.write_bytes(exported(network, change))
    assert "name images=__import__" in lab.refused()


def test_convert_exported_program_with_compiled_library_is_refused(
    lab: Laboratory, network: TinyNetwork
) -> None:
    library = {"data/aotinductor/model/model.so": b"\x7fELF"}
    lab.model.write_bytes(exported(network, lambda _, content: content, **library))
    digest = hashlib.sha256(lab.model.read_bytes()).hexdigest()
    assert "compiled code" in lab.refused()
    assert "compiled code" in lab.refused("--trust-pickle", f"sha256:{digest}")


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside", "a\\..\\b"])
def test_convert_archive_with_leaving_name_is_refused(lab: Laboratory, name: str) -> None:
    with zipfile.ZipFile(lab.model, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}))
        archive.writestr(name, b"x")
    assert "leaves its folder" in lab.refused()


def test_convert_archive_that_unpacks_to_far_more_than_it_is_is_refused(lab: Laboratory) -> None:
    with zipfile.ZipFile(lab.model, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}))
        archive.writestr("a/data/0", bytes(32 * 1024**2))
    assert "unpacks to" in lab.refused()


def test_convert_archive_that_declares_too_much_is_refused(lab: Laboratory) -> None:
    with zipfile.ZipFile(lab.model, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}))
    content = bytearray(lab.model.read_bytes())
    directory = content.index(b"PK\x01\x02")
    struct.pack_into("<II", content, directory + 20, 0xFFFFFFF0, 0xFFFFFFF0)
    lab.model.write_bytes(content)
    assert "error: " in lab.refused()
