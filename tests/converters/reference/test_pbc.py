from __future__ import annotations

import errno
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converters.reference.data import pbc as pbc_reader
from edge.errors import ConfigError


@pytest.fixture
def small_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The original folder layout with two images a class instead of 17,092."""
    monkeypatch.setattr(pbc_reader, "ORIGINAL_COUNTS", dict.fromkeys(pbc_reader.CLASSES, 2))
    for cell_class in pbc_reader.CLASSES:
        (tmp_path / cell_class).mkdir()
        # As in the original, the name carries a label; here it lies on purpose.
        for name in ("BNE_1.jpg", "EO_2.JPG"):
            (tmp_path / cell_class / name).write_text(f"{cell_class} {name}")
    return tmp_path


def test_published_counts_add_up() -> None:
    assert sum(pbc_reader.ORIGINAL_COUNTS.values()) == 17_092
    assert set(pbc_reader.ORIGINAL_COUNTS) == set(pbc_reader.CLASSES)


def test_read_original_takes_the_class_from_the_folder_not_the_name(small_original: Path) -> None:
    files = pbc_reader.read_original(small_original)
    assert len(files) == 16
    assert all(file.cell_class == file.path.parent.name for file in files)
    assert {file.kind for file in files} == {"native"}


def test_read_original_passes_over_what_systems_leave_beside_images(small_original: Path) -> None:
    for name in (".DS_169665.jpg", "neutrophil/._BNE_1.jpg", "ig/Thumbs.db", "ig/.DS_Store"):
        (small_original / name).write_text("no image")
    (small_original / "__MACOSX" / "ig").mkdir(parents=True)
    (small_original / "__MACOSX" / "ig" / "._MY_1.jpg").touch()
    assert len(pbc_reader.read_original(small_original)) == 16


def test_read_original_finds_classes_in_a_wrapping_folder_and_in_any_case(
    small_original: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    wrapping = tmp_path_factory.mktemp("download")
    (wrapping / "__MACOSX").mkdir()
    inner = shutil.copytree(small_original, wrapping / "archive" / "PBC_dataset_normal_DIB")
    (inner / "ig").rename(inner / "IG")
    files = pbc_reader.read_original(wrapping)
    assert sum(file.cell_class == "ig" for file in files) == 2
    assert {file.path.parent.parent for file in files} == {inner}


def test_read_original_reports_a_picture_with_two_labels_and_leaves_both_out(
    small_original: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (small_original / "eosinophil" / "EO_2.JPG").write_text("one cell")
    (small_original / "neutrophil" / "BNE_1.jpg").write_text("one cell")
    # Twice in one class is no contradiction.
    (small_original / "ig" / "BNE_1.jpg").write_text("another cell")
    (small_original / "ig" / "EO_2.JPG").write_text("another cell")
    files = pbc_reader.read_original(small_original)
    assert len(files) == 14
    assert "neutrophil/BNE_1.jpg and eosinophil/EO_2.JPG are the same image" in caplog.text
    assert caplog.text.count("same image") == 1


def test_read_original_with_two_copies_names_both(small_original: Path) -> None:
    for name in ("first", "second"):
        shutil.copytree(small_original / "ig", small_original / "copies" / name / "ig")
    with pytest.raises(ConfigError, match=r"class folders in first, second; one set .* is needed"):
        pbc_reader.read_original(small_original / "copies")


def test_read_original_with_a_class_twice_names_both_folders(small_original: Path) -> None:
    (small_original / "Ig").mkdir()
    with pytest.raises(ConfigError, match=r"class ig twice \(Ig, ig\)"):
        pbc_reader.read_original(small_original)


def test_read_original_of_a_folder_without_classes_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(ConfigError, match=r"found: pictures; known: neutrophil, .* one folder per"):
        pbc_reader.read_original(tmp_path)
    with pytest.raises(ConfigError, match="is no folder"):
        pbc_reader.read_original(tmp_path / "missing")


@pytest.mark.parametrize("unreadable", ["monocyte", "monocyte/BNE_1.jpg"])
def test_read_original_without_permission_says_so(
    small_original: Path, monkeypatch: pytest.MonkeyPatch, unreadable: str
) -> None:
    # Root, as tests in a container run, may read whatever its mode is.
    for name in ("iterdir", "read_bytes"):
        monkeypatch.setattr(Path, name, refusing(small_original / unreadable, name))
    with pytest.raises(ConfigError, match=rf"{unreadable} cannot be read \(Permission denied\)"):
        pbc_reader.read_original(small_original)


def refusing(refused: Path, name: str) -> Callable[[Path], Any]:
    original = getattr(Path, name)

    def call(path: Path) -> Any:
        if path == refused:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original(path)

    return call


def test_read_original_with_missing_images_lists_the_classes(small_original: Path) -> None:
    (small_original / "ig" / "BNE_1.jpg").unlink()
    (small_original / "platelet" / "EO_2.JPG").unlink()
    with pytest.raises(ConfigError, match="ig: 1 found, 2 published; platelet: 1 found"):
        pbc_reader.read_original(small_original)


def test_read_manifest_without_manifest_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no manifest\.csv"):
        pbc_reader.read_manifest(tmp_path, "train")


def test_read_manifest_of_unknown_split_names_the_known(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file,split,class,kind\n")
    with pytest.raises(ConfigError, match="train, val or test"):
        pbc_reader.read_manifest(tmp_path, "tests")


def test_read_manifest_with_missing_image_names_it(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file,split,class,kind\nx.jpg,val,ig,native\n")
    with pytest.raises(ConfigError, match=r"x\.jpg is in .* but not on disk"):
        pbc_reader.read_manifest(tmp_path, "val")


def test_read_manifest_without_a_column_names_it(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file,class\nx.jpg,ig\n")
    with pytest.raises(ConfigError, match=r"no column split; it needs file, split, class"):
        pbc_reader.read_manifest(tmp_path, "val")


def test_read_manifest_that_is_no_text_says_so(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00file")
    with pytest.raises(ConfigError, match=r"manifest\.csv cannot be read .* copy it again"):
        pbc_reader.read_manifest(tmp_path, "val")


def test_read_manifest_saved_by_a_spreadsheet_without_kinds_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").touch()
    (tmp_path / "manifest.csv").write_bytes(b"\xef\xbb\xbffile,split,class\r\nx.jpg,val,ig\r\n")
    (file,) = pbc_reader.read_manifest(tmp_path, "val")
    assert (file.cell_class, file.kind, file.capture) == ("ig", "", "")


def test_read_manifest_of_shared_images_counts_the_splits(pbc: Path) -> None:
    counts = {
        split: Counter((file.kind, file.capture) for file in pbc_reader.read_manifest(pbc, split))
        for split in ("train", "val", "test")
    }
    assert counts == {
        "train": {("native", "dm96"): 7572, ("native", "other_export"): 216},
        "val": {("native", "dm96"): 637, ("native", "other_export"): 18},
        "test": {
            ("native", "dm96"): 933,
            ("native", "other_export"): 28,
            ("denoised224", ""): 240,
        },
    }
