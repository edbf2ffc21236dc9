from __future__ import annotations

from pathlib import Path

import pytest

from converters.reference import pbc as pbc_reader
from edge.errors import ConfigError


@pytest.fixture
def small_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The original folder layout with two images a class instead of 17,092."""
    monkeypatch.setattr(pbc_reader, "ORIGINAL_COUNTS", dict.fromkeys(pbc_reader.CLASSES, 2))
    for cell_class in pbc_reader.CLASSES:
        (tmp_path / cell_class).mkdir()
        # As in the original, the name carries a label; here it lies on purpose.
        for name in ("BNE_1.jpg", "EO_2.JPG"):
            (tmp_path / cell_class / name).touch()
    return tmp_path


def test_published_counts_add_up() -> None:
    assert sum(pbc_reader.ORIGINAL_COUNTS.values()) == 17_092
    assert set(pbc_reader.ORIGINAL_COUNTS) == set(pbc_reader.CLASSES)


def test_read_original_takes_the_class_from_the_folder_not_the_name(small_original: Path) -> None:
    files = pbc_reader.read_original(small_original)
    assert len(files) == 16
    assert all(file.cell_class == file.path.parent.name for file in files)


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


def test_read_manifest_of_shared_images_counts_the_test_split(pbc: Path) -> None:
    files = pbc_reader.read_manifest(pbc, "test")
    assert sum(file.kind == "native" for file in files) == 291
