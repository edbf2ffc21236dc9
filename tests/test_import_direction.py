"""Imports go one way: between the packages, and between the rooms, which are their folders."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.rooms.drawing import draw
from tests.rooms.graph import GROUND, children_of, floors, imports_in, read_house
from tests.rooms.ways import WAYS, Way

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "edge": {"converters", "daemon", "onnxscript", "jinja2"},
    "daemon": {"converters", "torch", "onnx", "onnxscript", "jinja2"},
    "converters": {"daemon"},
}
ONLY_IN = {
    "sqlite3": {
        f"daemon/journal/{name}.py"
        for name in ("journal", "check", "connection", "file", "schema", "streams", "verdicts")
    }
    | {f"edge/database/{name}.py" for name in ("errors", "file")}
    | {
        "edge/results/issued/issued.py",
        "edge/results/review/record/record.py",
        "edge/results/send/outbox/outbox.py",
    },
    # `edge-bench --against` runs ONNX Runtime in other ways than the product's.
    "onnxruntime": {"edge/backends/onnx.py", "edge/bench/against/onnx_runtime.py"},
    # What `edge-bench --against` measures beside ours, where it is installed.
    "torch": {f"edge/bench/against/torch_{name}.py" for name in ("module", "operators", "script")},
    "onnx": {"edge/bench/against/onnx_nodes.py"},
    "openvino": {"edge/bench/against/openvino.py"},
    "PIL": {"edge/bench/against/torch_script.py"},
    "tensorrt": {"edge/backends/trt/library.py"},
    "tensorrt_rtx": {"edge/backends/trt/library.py"},
    "pycuda": {"edge/backends/trt/cuda.py"},
    "prometheus_client": {"daemon/health/metrics.py"},
    "shtab": {"edge/command/completion.py"},
    "argparse_manpage": {"edge/command/man_page.py"},
    "starlette": {
        f"edge/results/review/server/{name}.py"
        for name in ("application", "entrance", "requests", "slide_routes")
    }
    | {f"edge/results/review/server/guard/{name}.py" for name in ("answers", "guard")}
    | {"edge/results/review/server/connections/serve.py"},
    "uvicorn": {f"edge/results/review/server/connections/{n}.py" for n in ("protocol", "serve")},
    "pandas": {"edge/results/reading/table.py"},
    "pyarrow": {"edge/results/reading/table.py"},
    "watchdog": {"daemon/intake/inotify.py", "daemon/intake/inotify_probe.py"},
}


@cache
def imports_of(path: Path) -> frozenset[str]:
    return frozenset(module.split(".")[0] for module, _ in imports_in(path))


HOUSE = read_house()
FOLDERS = sorted(HOUSE.rooms())
MOST_FILES = 13


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


@pytest.mark.parametrize("folder", FOLDERS)
def test_room_is_small_and_says_in_a_line_what_it_is(folder: str) -> None:
    assert 2 <= len(HOUSE.rooms()[folder]) <= MOST_FILES
    says = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text("utf-8")))
    assert says
    assert "\n" not in says


@pytest.mark.parametrize("folder", FOLDERS)
def test_rooms_of_a_folder_import_one_way(folder: str) -> None:
    rooms = children_of(folder, HOUSE.files - GROUND)
    # Raises for a circle. A folder's own files are a room as well, the highest or the lowest.
    floors(set(rooms.values()), HOUSE.between(rooms))


def test_every_folder_imports_one_way() -> None:
    rooms = {file: folder for folder, files in HOUSE.rooms().items() for file in files}
    floors(set(rooms.values()), HOUSE.between(rooms))


def test_ground_imports_nothing_else() -> None:
    wrong = {(a, b) for a, b in HOUSE.imports if a in GROUND and b not in GROUND}
    assert wrong == set()


def test_circle_of_rooms_is_found() -> None:
    with pytest.raises(ValueError, match="circle, among a, b"):
        floors({"a", "b", "c"}, {("a", "b"), ("b", "a"), ("a", "c")})


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.package)
def test_drawing_in_the_docs_is_of_the_imports_as_they_are(way: Way) -> None:
    drawn = (ROOT / way.file).read_text("utf-8")
    assert drawn == draw(HOUSE, way, ROOT), "draw it anew: python -m tests.rooms"
