from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from edge.bundle import load_bundle, seal
from edge.errors import BundleError


def edit_manifest(root: Path, **changes: Any) -> None:
    path = root / "manifest.json"
    content = json.dumps({**json.loads(path.read_text()), **changes}).encode()
    path.write_bytes(content)
    (root / "manifest.sha256").write_bytes(seal(content))


def all_files(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_load_bundle_gives_classes_and_models(small_bundle: Path) -> None:
    bundle = load_bundle(small_bundle)
    assert bundle.classes == ("red", "green", "blue")
    assert bundle.model("onnxruntime", "int8").path == "model.int8.onnx"
    assert len(bundle.golden) == 3


def test_load_bundle_with_any_changed_byte_names_the_file(small_bundle: Path) -> None:
    checked = all_files(small_bundle)
    assert len(checked) == 8
    for name in checked:
        path = small_bundle / name
        content = path.read_bytes()
        for position in (0, len(content) // 2, len(content) - 1):
            changed = bytearray(content)
            changed[position] ^= 1
            path.write_bytes(changed)
            with pytest.raises(BundleError, match=path.name):
                load_bundle(small_bundle)
        path.write_bytes(content)
    load_bundle(small_bundle)


def test_load_bundle_with_missing_file_names_it(small_bundle: Path) -> None:
    (small_bundle / "golden" / "01.jpg").unlink()
    with pytest.raises(BundleError, match=r"golden/01\.jpg cannot be read"):
        load_bundle(small_bundle)


def test_load_bundle_of_folder_without_manifest_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is no bundle"):
        load_bundle(tmp_path)


def test_load_bundle_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"/nosuch\.edge is not there\. Give a folder NAME"):
        load_bundle(tmp_path / "nosuch.edge")


@pytest.mark.parametrize(
    ("function", "closed"),
    [("stat", "manifest.json"), ("open", "manifest.json"), ("open", "golden")],
)
def test_load_bundle_that_this_user_may_not_read_asks_for_the_permission(
    small_bundle: Path, function: str, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = getattr(os, function)

    def refused(path: Any, *words: Any, **options: Any) -> Any:
        # Of a folder that is closed the names within cannot be asked for: `stat`.
        if isinstance(path, str | Path) and Path(path).name == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return original(path, *words, **options)

    monkeypatch.setattr(os, function, refused)
    with pytest.raises(BundleError, match=r"Permission denied\)\. Let the user .* a\+rX$"):
        load_bundle(small_bundle)


def test_load_bundle_of_newer_schema_is_refused(small_bundle: Path) -> None:
    edit_manifest(small_bundle, schema="edge-bundle/2")
    with pytest.raises(BundleError, match="schema 'edge-bundle/2'"):
        load_bundle(small_bundle)


@pytest.mark.parametrize("key", ["classes", "input", "artefacts", "default_precision"])
def test_load_bundle_with_damaged_manifest_says_so(small_bundle: Path, key: str) -> None:
    edit_manifest(small_bundle, **{key: None})
    with pytest.raises(BundleError):
        load_bundle(small_bundle)


def test_load_bundle_with_path_leaving_the_bundle_is_refused(small_bundle: Path) -> None:
    manifest = json.loads((small_bundle / "manifest.json").read_text())
    manifest["artefacts"][0]["path"] = "../secret"
    edit_manifest(small_bundle, artefacts=manifest["artefacts"])
    with pytest.raises(BundleError, match="leaves the bundle"):
        load_bundle(small_bundle)


def test_read_after_file_changed_since_loading_is_refused(small_bundle: Path) -> None:
    bundle = load_bundle(small_bundle)
    (small_bundle / "model.int8.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match="hash differs"):
        bundle.read("model.int8.onnx")


def test_model_of_other_precision_lists_what_there_is(small_bundle: Path) -> None:
    with pytest.raises(BundleError, match="onnxruntime fp32, onnxruntime int8"):
        load_bundle(small_bundle).model("tensorrt", "int8")
