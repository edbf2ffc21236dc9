"""TorchScript archives are read before torch loads them."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Callable
from enum import Enum
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from converters.loading.checks.torchscript import check_torchscript
from edge.errors import ModelError

Change = Callable[[str, bytes], bytes]


class Plain(nn.Module):
    """A network with a branch, a loop, a list and an error, as scripted ones have them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4)])
        self.last = nn.Linear(4, 3)
        self.scale: float | None = 2.0

    def forward(self, images: Tensor) -> Tensor:
        if images.dim() != 4:
            raise ValueError(f"{images.dim()} dimensions")
        found = [torch.relu(self.first(images))]
        for norm in self.norms:
            found.append(norm(found[-1]))
        pooled = torch.stack(found).mean(dim=(0, 3, 4))
        if self.scale is not None:
            pooled = pooled * self.scale
        logits: Tensor = self.last(pooled)
        return logits


def scripted(module: nn.Module, path: Path, change: Change = lambda _, content: content) -> Path:
    """A scripted module's archive, with its entries changed."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates its own TorchScript
        torch.jit.save(torch.jit.script(module), buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, change(name.partition("/")[2], source.read(name)))
    return path


def in_forward(line: str) -> Change:
    """One more line at the start of the network's own method."""

    def change(entry: str, content: bytes) -> bytes:
        if not (entry.startswith("code/") and b"class Plain(Module)" in content):
            return content
        start = re.search(rb"def forward\(self[^:]*:[^:]*:[^:]*-> Tensor:\n", content)
        assert start is not None
        return content[: start.end()] + f"    {line}\n".encode() + content[start.end() :]

    return change


def in_class(line: str) -> Change:
    def change(_: str, content: bytes) -> bytes:
        start = b"class Plain(Module):\n"
        return content.replace(start, start + f"  {line}\n".encode())

    return change


def with_conv_as(other: bytes) -> Change:
    """The convolution's object is one of another class."""

    def change(entry: str, content: bytes) -> bytes:
        # A class that was scripted before has another name.
        conv = rb"__torch__\.torch\.nn\.modules\.conv[\w.]*\nConv2d\n"
        changed, count = re.subn(conv, other, content)
        assert entry != "data.pkl" or count == 1
        return changed if count else content

    return change


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        check_torchscript(path, "m.pt")
    assert "copy it" not in str(caught.value).lower()
    return str(caught.value)


def test_check_scripted_network_with_control_flow_passes(tmp_path: Path) -> None:
    check_torchscript(scripted(Plain(), tmp_path / "m.pt"), "m.pt")


class Format(Enum):
    """As timm's layers have one."""

    FIRST = "NCHW"
    LAST = "NHWC"


class Attributes(nn.Module):
    """Every kind of attribute that torch writes."""

    def __init__(self) -> None:
        super().__init__()
        self.names, self.sizes, self.missing = ["a"], [(1, 2)], None
        self.found, self.more = {"x": torch.ones(2)}, [torch.ones(2)]
        self.counts, self.shares, self.flags = [1, 2], [0.5], [True]
        self.device, self.format, self.pair = torch.device("cpu"), Format.FIRST, (1, "a")

    def forward(self, images: Tensor) -> Tensor:
        if self.format == Format.LAST:
            images = images.permute(0, 3, 1, 2)
        images = images + self.found["x"].sum() + self.more[0].sum() + self.sizes[0][1]
        images = images * self.counts[0] * self.shares[0] + len(self.names) + self.pair[0]
        return images if self.flags[0] else images.to(self.device)


def test_check_every_kind_of_attribute_passes(tmp_path: Path) -> None:
    check_torchscript(scripted(Attributes(), tmp_path / "m.pt"), "m.pt")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("_9 = ops.inductor._reinterpret_tensor(images, [9999], [1], 0)", "inductor::_reinterpret"),
        ("_9 = ops.aten.as_strided(images, [9999], [1], 0)", "aten::as_strided"),
        ("_9 = torch.as_strided(images, [9999], [1], 0)", "aten::as_strided"),
        ("_9 = torch.set_(images, images, 0, [9999], [1])", "aten::set_"),
        ("_9 = torch.resize_(images, [9999])", "aten::resize_"),
        ("_9 = torch._reshape_alias(images, [9999], [1])", "aten::_reshape_alias"),
        ('_9 = torch.from_file("/etc/passwd")', "aten::from_file"),
        ('torch.save(images, "/x")', "aten::save"),
        ("_9 = torch._nested_view_from_buffer(images, images, images, images)", "aten::_nested"),
        ("_9 = torch._sparse_coo_tensor_unsafe(images, images, [9])", "aten::_sparse_coo"),
        ("_9 = torch._embedding_bag(images, images, images)", "aten::_embedding_bag"),
        ("_9 = ops.quantized.linear_unpack(images)", "quantized::linear_unpack"),
        ("_9 = ops.prim.rpc_async(images)", "prim::rpc_async"),
        ("_9 = torch.add(images, images, alpha=1, out=images)", "aten::add with out="),
        ("_9 = (images).as_strided([9999], [1], 0)", "as_strided"),
        ('_9 = getattr(images, "as_strided")([9999], [1], 0)', "getattr"),
        ('f = getattr(images, "as_strided"); _9 = f([9999], [1], 0)', "f([9999]"),
        ('int = getattr(images, "as_strided"); _9 = int([9999], [1], 0)', "int([9999]"),
        ("t = torch; _9 = t.relu(images)", "torch"),
        ("o = ops.inductor; _9 = o.relu(images)", "ops"),
        ("f = torch.relu; _9 = f(images)", "torch"),
        ("_9 = torch.autograd.relu(images)", "torch"),
        ("_9 = fork(self.first, images)", "fork"),
        ("_9 = __torch__.torch.classes.quantized.Conv2dPackedParamsBase", "torch.classes"),
        ("_9 = unchecked_cast(__torch__.Other, self.first)", "unchecked_cast"),
        ("_9 = [f for f in [images]]", "[f for f in [images]]"),
        ("with images: pass", "with images"),
        ("_9 = images  # type: int", "code that torch does not write"),
        ('_9 = r"\\"', "code that torch does not write"),
    ],
)
def test_check_code_that_reaches_another_operator_is_refused_and_named(
    tmp_path: Path, line: str, named: str
) -> None:
    path = scripted(Plain(), tmp_path / "m.pt", in_forward(line))
    assert named in refusal(path)


@pytest.mark.parametrize(
    "line",
    [
        'x : Final[int] = torch.save(1, "/x")',
        "def __setstate__(self, state: int) -> NoneType:\n    return None",
        "def forward2(self, x: int=torch.numel(CONSTANTS.c0)) -> int:\n    return x",
        "x : __torch__.torch.classes.quantized.LinearPackedParamsBase",
    ],
    ids=["constant", "setstate", "default", "native_class"],
)
def test_check_code_that_runs_while_it_is_loaded_is_refused(tmp_path: Path, line: str) -> None:
    assert "is TorchScript that uses" in refusal(
        scripted(Plain(), tmp_path / "m.pt", in_class(line))
    )


def test_check_own_method_named_as_an_operator_is_refused(tmp_path: Path) -> None:
    """Called on a tensor, the name would be the operator's."""

    def change(entry: str, content: bytes) -> bytes:
        method = b"  def as_strided(self, x: Tensor) -> Tensor:\n    return x\n"
        content = in_forward("_9 = (images).as_strided([9999], [1], 0)")(entry, content)
        return content + method if b"class Plain(Module)" in content else content

    assert "as_strided" in refusal(scripted(Plain(), tmp_path / "m.pt", change))


def test_check_tensor_that_is_shorter_than_declared_is_refused(tmp_path: Path) -> None:
    """torch would read on in the memory behind it."""
    path = scripted(Plain(), tmp_path / "m.pt", lambda e, c: c[:4] if e == "data/0" else c)
    assert "is shorter than it declares" in refusal(path)


def test_check_object_of_another_class_in_a_field_is_refused(tmp_path: Path) -> None:
    other = with_conv_as(b"__torch__.torch.nn.modules.linear\nLinear\n")
    assert "holds another class" in refusal(scripted(Plain(), tmp_path / "m.pt", other))


def test_check_native_class_in_the_data_is_refused(tmp_path: Path) -> None:
    other = with_conv_as(b"__torch__.torch.classes.quantized\nConv2dPackedParamsBase\n")
    assert "it names __torch__.torch.classes" in refusal(
        scripted(Plain(), tmp_path / "m.pt", other)
    )


def test_check_entry_of_the_old_format_is_refused(tmp_path: Path) -> None:
    """torch.jit.load reads model.json first where there is one, and other code with it."""
    path = scripted(Plain(), tmp_path / "m.pt")
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/model.json", b"{}")
    assert "entry model.json" in refusal(path)
