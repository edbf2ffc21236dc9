"""The layers: converters and daemon stand on edge and never see each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "edge": {"converters", "daemon", "torch", "onnx", "onnxscript"},
    "daemon": {"converters", "torch", "onnx", "onnxscript"},
    "converters": {"daemon"},
}
ONLY_IN = {
    "sqlite3": {
        f"daemon/journal{part}.py" for part in ("", "_check", "_connection", "_file", "_verdicts")
    },
    "onnxruntime": {"edge/backends/onnx.py"},
    "tensorrt": {"edge/backends/trt_library.py"},
    "tensorrt_rtx": {"edge/backends/trt_library.py"},
    "pycuda": {"edge/backends/cuda.py"},
    "prometheus_client": {"daemon/metrics.py"},
    "shtab": {"edge/completion.py"},
    "argparse_manpage": {"edge/man_page.py"},
    "watchdog": {"daemon/watch.py", "daemon/watch_canary.py"},
}


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").split(".")[0])
    return names


def modules(layer: str) -> list[Path]:
    found = sorted((ROOT / layer).rglob("*.py"))
    assert found, f"no modules under {layer}"
    return found


@pytest.mark.parametrize("layer", sorted(FORBIDDEN))
def test_layer_imports_nothing_above_it(layer: str) -> None:
    wrong = {
        str(path.relative_to(ROOT)): sorted(imports_of(path) & FORBIDDEN[layer])
        for path in modules(layer)
        if imports_of(path) & FORBIDDEN[layer]
    }
    assert wrong == {}


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_library_is_imported_in_its_own_file_only(library: str) -> None:
    users = {
        str(path.relative_to(ROOT))
        for layer in ("edge", "daemon")
        for path in modules(layer)
        if library in imports_of(path)
    }
    assert users <= ONLY_IN[library]


def test_print_is_called_in_cli_files_only() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for layer in FORBIDDEN
        for path in modules(layer)
        if path.name != "cli.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert wrong == []


@pytest.mark.parametrize("module", ["edge.bench.cli", "edge.demo.cli", "daemon.cli"])
def test_runtime_module_imported_loads_no_torch_and_no_onnx(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'onnx'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
