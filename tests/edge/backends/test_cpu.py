from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.backends import cpu
from edge.backends.early_warnings import without_cpuinfo_warnings
from edge.session import Inferred

ROOT = Path(__file__).parents[3]
ASK = "from edge.backends.cpu import has_vnni; print(has_vnni())"
# A process with a /proc of its own, as `ProcSubset=pid` gives it to the service.
HIDING = 'mount -t proc -o subset=pid proc /proc && test ! -e /proc/cpuinfo && exec "$@"'


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def needs_hidden_cpuinfo() -> None:
    done = run("unshare", "--mount", "--pid", "--fork", "bash", "-c", HIDING, "_", "true")
    if done.returncode != 0:
        pytest.skip(f"no /proc of its own to be had here: {done.stderr.strip()}")


def hidden(code: str) -> subprocess.CompletedProcess[str]:
    python = (sys.executable, "-c", code)
    return run("unshare", "--mount", "--pid", "--fork", "bash", "-c", HIDING, "_", *python)


def convolution() -> bytes:
    nodes = [
        helper.make_node(
            "ConstantOfShape", ["s"], ["w"], value=numpy_helper.from_array(np.array([127], np.int8))
        ),
        helper.make_node(
            "QLinearConv", ["x", "one", "zero", "w", "one", "zw", "ys", "zero"], ["y"]
        ),
    ]
    weights = {
        "s": np.array([16, 64, 1, 1]),
        "one": np.float32(1),
        "zero": np.uint8(0),
        "zw": np.int8(0),
        "ys": np.float32(64 * 255 * 127 / 200),
    }
    graph = helper.make_graph(
        nodes,
        "p",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 64, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def test_convolution_in_the_code_is_the_one_that_its_comment_describes() -> None:
    assert onnx.ModelProto.FromString(cpu.CONVOLUTION) == onnx.ModelProto.FromString(convolution())


def test_has_vnni_of_outputs_that_saturated_is_false(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pair of products that counts as 32767 gives 101, as a processor with AVX2 alone."""
    pairs = 64 // 2 * min(2 * 255 * 127, 32767)
    saturated = np.full((1, 16, 4, 4), round(pairs / (64 * 255 * 127 / 200)), np.float32)
    assert saturated.max() == 101

    class Session:
        def infer(self, _: object) -> object:
            return Inferred(saturated)

        def close(self) -> None:
            pass

    monkeypatch.setattr(cpu, "open_onnx", lambda *_: Session())
    assert not cpu.has_vnni.__wrapped__()


@pytest.mark.parametrize(("processor", "expected"), [("Haswell", "False"), ("Nehalem", "True")])
def test_has_vnni_on_an_emulated_processor_is_what_its_kernels_compute(
    processor: str, expected: str
) -> None:
    """Haswell has AVX2 and saturates; Nehalem has SSE4.2 alone and takes a kernel that does not."""
    emulator = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    if emulator is None or platform.machine() != "x86_64":
        pytest.skip("qemu-x86_64 is not installed (Debian: qemu-user-static)")
    done = run(emulator, "-cpu", processor, sys.executable, "-c", ASK)
    assert (done.returncode, done.stdout.strip()) == (0, expected), done.stderr


def test_has_vnni_where_cpuinfo_is_hidden_is_as_elsewhere() -> None:
    needs_hidden_cpuinfo()
    done = hidden(ASK)
    assert done.stdout.strip() == run(sys.executable, "-c", ASK).stdout.strip() != ""


def test_onnx_runtime_where_cpuinfo_is_hidden_says_nothing() -> None:
    needs_hidden_cpuinfo()
    done = hidden(ASK)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_cpuinfo_warnings_passes_on_what_else_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with without_cpuinfo_warnings(tmp_path / "hidden"):
        os.write(2, b"Error in cpuinfo: failed to parse\nthe disk burns\n")
    os.write(2, b"and after\n")
    assert capfd.readouterr().err == "the disk burns\nand after\n"
    with without_cpuinfo_warnings(tmp_path):
        os.write(2, b"Error in cpuinfo: a real one\n")
    assert capfd.readouterr().err == "Error in cpuinfo: a real one\n"
