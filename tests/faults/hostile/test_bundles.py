"""Bundles made to hang, to fill the machine or to be changed by others: one line each."""

from __future__ import annotations

import hashlib
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.backends.trt.plan import PlanRecord
from edge.bundle import Bundle, load_bundle, seal
from edge.errors import BundleError
from edge.manifest import MAX_BUNDLE_BYTES, MAX_JSON_BYTES

Manifest = dict[str, Any]


def refusal(root: Path) -> str:
    """The one line with which the bundle is refused."""
    with pytest.raises(BundleError) as caught:
        load_bundle(root)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 1000
    return said


def write_raw(root: Path, content: bytes) -> None:
    (root / "manifest.json").write_bytes(content)
    (root / "manifest.sha256").write_bytes(seal(content))


def edit(root: Path, change: Callable[[Manifest], object]) -> None:
    manifest = json.loads((root / "manifest.json").read_bytes())
    change(manifest)
    write_raw(root, json.dumps(manifest).encode())


def set_artefact(**fields: Any) -> Callable[[Manifest], object]:
    return lambda manifest: manifest["artefacts"][0].update(fields)


def edit_golden(root: Path, change: Callable[[Any], Any]) -> None:
    """Change golden.json and list it anew."""
    path = root / "golden/golden.json"
    content = json.dumps(change(json.loads(path.read_bytes()))).encode()
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()

    def list_anew(manifest: Manifest) -> None:
        (entry,) = (a for a in manifest["artefacts"] if a["path"] == "golden/golden.json")
        entry.update(sha256=digest, bytes=len(content))

    edit(root, list_anew)


@pytest.mark.parametrize(
    "name", ["", "golden", "model.int8.onnx", "golden/00.jpg", "manifest.json"]
)
def test_bundle_that_anybody_may_write_is_refused(small_bundle: Path, name: str) -> None:
    path = small_bundle / name
    path.chmod(path.stat().st_mode | 0o002)
    assert f"{path} may be written by anybody (mode 0" in refusal(small_bundle)


def test_bundle_in_a_folder_where_anybody_may_replace_it_is_refused(small_bundle: Path) -> None:
    folder = small_bundle.parent
    folder.chmod(0o777)
    assert f"{folder} may be written by anybody (mode 0777)" in refusal(small_bundle)
    # As /tmp is: nobody may rename what others have there.
    folder.chmod(0o1777)
    load_bundle(small_bundle)


def test_bundle_below_a_folder_that_anybody_may_replace_is_refused(
    small_bundle: Path, tmp_path: Path
) -> None:
    public = tmp_path / "public"
    (public / "models").mkdir(parents=True)
    moved = small_bundle.rename(public / "models" / small_bundle.name)
    public.chmod(0o777)
    assert f"{public} may be written by anybody (mode 0777)" in refusal(moved)
    public.chmod(0o755)
    load_bundle(moved)


def test_bundle_behind_a_link_that_anybody_may_replace_is_refused(
    small_bundle: Path, tmp_path: Path
) -> None:
    public = tmp_path / "public"
    public.mkdir()
    (public / "current").symlink_to(small_bundle)
    (tmp_path / "own").symlink_to(public / "current")
    public.chmod(0o777)
    for link in (public / "current", tmp_path / "own"):
        assert f"{public} may be written by anybody (mode 0777)" in refusal(link)
    public.chmod(0o755)
    load_bundle(tmp_path / "own")


def test_bundle_of_a_umask_of_two_and_another_owner_is_taken(small_bundle: Path) -> None:
    """Copied by an engineer under his own name: his group is his own."""
    for path in (small_bundle, *small_bundle.rglob("*")):
        path.chmod(path.stat().st_mode | 0o020)
        if os.geteuid() == 0:
            os.chown(path, 4711, 4711)
    load_bundle(small_bundle)


def test_bundle_behind_a_link_is_taken(small_bundle: Path) -> None:
    """A site names its current bundle by a link."""
    link = small_bundle.parent / "current.edge"
    link.symlink_to(small_bundle)
    assert load_bundle(link).name == "colours"


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256", "model.int8.onnx"])
def test_pipe_in_place_of_a_file_is_refused_and_never_blocks(small_bundle: Path, name: str) -> None:
    (small_bundle / name).unlink()
    os.mkfifo(small_bundle / name)
    assert f"{name} cannot be read (not a regular file)" in refusal(small_bundle)


@pytest.mark.parametrize("name", ["manifest.json", "model.int8.onnx", "golden"])
def test_link_in_place_of_a_file_or_folder_is_refused(small_bundle: Path, name: str) -> None:
    """Equal bytes, but whoever may write elsewhere could change them later."""
    elsewhere = small_bundle.parent / "elsewhere"
    (small_bundle / name).rename(elsewhere)
    (small_bundle / name).symlink_to(elsewhere)
    assert "cannot be read (" in refusal(small_bundle)


def test_device_in_place_of_a_file_is_refused(small_bundle: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    (small_bundle / "model.int8.onnx").unlink()
    os.mknod(small_bundle / "model.int8.onnx", 0o020600, os.makedev(1, 5))  # /dev/zero
    assert "not a regular file" in refusal(small_bundle)


def test_file_of_another_size_is_refused_unread(small_bundle: Path) -> None:
    os.truncate(small_bundle / "model.int8.onnx", 20 << 30)
    tracemalloc.start()
    try:
        said = refusal(small_bundle)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "(21474836480 bytes, " in said
    assert peak < 10 << 20


def test_large_file_that_the_manifest_lists_is_refused_unread(small_bundle: Path) -> None:
    os.truncate(small_bundle / "model.int8.onnx", 20 << 30)
    edit(small_bundle, set_artefact(bytes=20 << 30))
    assert f"at most {MAX_BUNDLE_BYTES} are read" in refusal(small_bundle)


def test_many_files_that_are_large_together_are_refused(small_bundle: Path) -> None:
    def list_many(manifest: Manifest) -> None:
        first = manifest["artefacts"][0]
        many = [{**first, "path": f"{n}", "bytes": 1 << 30} for n in range(5)]
        manifest["artefacts"] += many

    edit(small_bundle, list_many)
    assert f"at most {MAX_BUNDLE_BYTES} are read" in refusal(small_bundle)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256"])
def test_endless_manifest_or_seal_is_refused_unread(small_bundle: Path, name: str) -> None:
    os.truncate(small_bundle / name, 20 << 30)
    assert f"{name} has more than {MAX_JSON_BYTES} bytes" in refusal(small_bundle)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "nested too deeply"),
        (b'{"schema": NaN}', "NaN is not JSON"),
        (b'{"schema": -Infinity}', "-Infinity is not JSON"),
        (b'{"schema": "edge-bundle/1", "name": "\\ud800"}', "half of a UTF-16 surrogate pair"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"\xff\xfe\xff", "is not JSON"),
        (b"", "is not JSON"),
        (b"[]", "has schema None"),
        (b'{"schema": ["edge-bundle/1"]}', "has schema"),
    ],
)
def test_manifest_that_is_no_sane_json_says_so(
    small_bundle: Path, content: bytes, reason: str
) -> None:
    write_raw(small_bundle, content)
    assert reason in refusal(small_bundle)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(classes="red"),
        lambda m: m.update(classes=["red", "red", "blue"]),
        lambda m: m.update(classes=["red", "gr\x1b[2Jeen", "blue"]),
        lambda m: m.update(classes=["red", 7, "blue"]),
        lambda m: m.update(classes=["red", "green", ""]),
        lambda m: m.update(name="two\nlines"),
        lambda m: m.update(version="x" * 5000),
        lambda m: m.update(unidentified_below="0.5"),
        lambda m: m.update(unidentified_below=10**400),
        lambda m: m["input"].update(height=10**9),
        lambda m: m["input"].update(crop=10**400),
        lambda m: m.update(default_precision=["int8"]),
        lambda m: m.update(artefacts=m["artefacts"][:2]),
        lambda m: m.update(artefacts=[m["artefacts"][0], *m["artefacts"]]),
        lambda m: m.update(artefacts=[1, 2]),
        lambda m: m.update(artefacts={"path": "x"}),
        set_artefact(path="./model.int8.onnx"),
        set_artefact(path="golden/../../secret"),
        set_artefact(path="."),
        set_artefact(path="a\0b"),
        set_artefact(path="a" * 400),
        set_artefact(path=7),
        set_artefact(bytes="7"),
        set_artefact(bytes=-1),
        set_artefact(bytes=1e999),
        set_artefact(sha256=None),
        set_artefact(requires=["onnxruntime"]),
        set_artefact(requires={"backend": 3}),
        set_artefact(precision=3),
    ],
)
def test_manifest_with_a_wrong_value_is_one_line(
    small_bundle: Path, change: Callable[[Manifest], object]
) -> None:
    edit(small_bundle, change)
    assert "Convert the model again" in (said := refusal(small_bundle)) or "Copy" in said


@pytest.mark.parametrize(
    "change",
    [
        lambda _: [],
        lambda _: {"path": "golden/00.jpg"},
        lambda golden: [{**golden[0], "logits": [1, 2, 3]}],
        lambda golden: [{**golden[0], "logits": {"int8": [1, 2]}}],
        lambda golden: [{**golden[0], "logits": {"int8": [1, 1, 1]}}],
        lambda golden: [{**golden[0], "logits": {"int8": [1, "x", 1]}}],
        lambda golden: [{**golden[0], "path": "golden/unlisted.jpg"}],
        lambda golden: [{**golden[0], "path": "../../secret"}],
    ],
)
def test_golden_images_that_prove_nothing_are_refused(
    small_bundle: Path, change: Callable[[Any], Any]
) -> None:
    edit_golden(small_bundle, change)
    assert "manifest.json is damaged" in refusal(small_bundle)


@pytest.mark.parametrize(
    "change",
    [
        {"library_version": 10},
        {"compute_capabilities": [8.9]},
        {"max_batch": 10**9},
        {"max_batch": "64"},
        {"os": None},
    ],
)
def test_record_of_a_plan_with_a_wrong_value_is_refused(change: Manifest) -> None:
    others = ("graph_sha256", "plan_bytes", "layers", "quantize_layers", "layer_precisions")
    record: Manifest = {
        **dict.fromkeys((*others, "gpu", "driver", "seconds")),
        "schema": "edge-plan/1",
        "library": "tensorrt",
        "library_version": "10.1",
        "precision": "int8",
        "compute_capabilities": ["8.9"],
        "portability": "same-gpu",
        "version_compatible": False,
        "os": "linux-x86_64",
        "max_batch": 64,
        "plan_sha256": "0",
        "flags": [],
        "notes": [],
    }
    assert PlanRecord.from_dict(record).max_batch == 64
    with pytest.raises(BundleError, match="record is damaged"):
        PlanRecord.from_dict({**record, **change})


def test_what_a_bundle_keeps_outlives_its_folder(small_bundle: Path) -> None:
    bundle = load_bundle(small_bundle).load_into_memory(["model.int8.onnx"])
    kept = (small_bundle / "model.int8.onnx").read_bytes()
    (small_bundle / "model.int8.onnx").write_bytes(b"another")
    assert bundle.read("model.int8.onnx") == kept
    assert bundle.read("golden/00.jpg") == (small_bundle / "golden/00.jpg").read_bytes()


def test_bundle_that_was_replaced_or_taken_away_is_no_longer_there(small_bundle: Path) -> None:
    bundle: Bundle = load_bundle(small_bundle)
    assert bundle.is_still_there()
    edit(small_bundle, lambda manifest: manifest.update(version="2"))
    assert not bundle.is_still_there()
    small_bundle.rename(small_bundle.parent / "gone")
    assert not bundle.is_still_there()
