"""Bundles made to hang, to fill the machine or to be changed by others: one line each."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from edge.bundle import Bundle, load_bundle
from edge.manifest import MAX_BUNDLE_BYTES
from tests.faults.hostile.bundle_edits import Manifest, edit, refusal


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


def test_many_files_that_are_large_together_are_refused(small_bundle: Path) -> None:
    def list_many(manifest: Manifest) -> None:
        first = manifest["artefacts"][0]
        many = [{**first, "path": f"{n}", "bytes": 1 << 30} for n in range(5)]
        manifest["artefacts"] += many

    edit(small_bundle, list_many)
    assert f"at most {MAX_BUNDLE_BYTES} are read" in refusal(small_bundle)


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
