from __future__ import annotations

from pathlib import Path

import pytest

from converters.reference.data.manifest import read_split
from edge.errors import ConfigError

CLASSES = ("red", "green")
HASH = "0123456789abcdef" * 4


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("red/0.jpg", "red/1.jpg", "green/0.jpg"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "set"


def read(images: Path, *rows: str, classes: tuple[str, ...] = CLASSES) -> list[tuple[str, str]]:
    """File name and class of each image of the split `test`."""
    (images / "manifest.csv").write_text("\n".join(rows), "utf-8")
    found = read_split(images, "test", classes)
    return [(f"{file.path.parent.name}/{file.path.name}", file.cell_class) for file in found]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(("file,split,class", "red/0.jpg,test,red"), id="plain"),
        pytest.param(("\ufefffile,split,class", "red/0.jpg,test,red"), id="byte order mark"),
        pytest.param(("file;split;class", "red/0.jpg;test;red"), id="semicolons"),
        pytest.param(("file\tsplit\tclass", "red/0.jpg\ttest\tred"), id="tabs"),
        pytest.param(("File, Split ,CLASS", " red/0.jpg ,Test , Red "), id="blanks and case"),
        pytest.param(("file,split,class", "red\\0.jpg,test,red"), id="written on Windows"),
        pytest.param(("file,split,class", "red/0.jpg,test,red", ",,", ",,"), id="empty rows"),
        pytest.param(("class,more,file,split", "red,x,red/0.jpg,test,y"), id="more cells"),
        pytest.param(
            ("file,split,class,sha256", "red/0.jpg,test,red,-", "green/0.jpg,val,green,-"),
            id="no hashes",
        ),
    ],
)
def test_read_split_takes_what_people_and_programs_write(
    images: Path, rows: tuple[str, ...]
) -> None:
    assert read(images, *rows) == [("red/0.jpg", "red")]


def test_read_split_takes_a_class_by_its_very_name_before_another_case(images: Path) -> None:
    rows = ("file,split,class", "red/0.jpg,test,IG", "red/1.jpg,test,ig", "green/0.jpg,test,Ig")
    found = dict(read(images, *rows, classes=("IG", "ig")))
    assert found == {"red/0.jpg": "IG", "red/1.jpg": "ig", "green/0.jpg": "Ig"}


@pytest.mark.parametrize("again", ["{images}/red/0.jpg", "../set/red/0.jpg", "red\\0.jpg"])
@pytest.mark.parametrize("split", ["test", "train"])
def test_read_split_finds_a_file_that_stands_there_twice_by_another_name(
    images: Path, again: str, split: str
) -> None:
    row = f"{again.format(images=images)},{split},red"
    with pytest.raises(ConfigError, match=r"twice \(test, red and"):
        read(images, "file,split,class", "red/0.jpg,test,red", row)


def test_read_split_finds_a_picture_in_two_splits_by_its_hash(images: Path) -> None:
    rows = ("file,split,class,SHA256", f"red/0.jpg,test,red,{HASH}")
    own_split = f"red/1.jpg,TEST,red,{HASH.upper()}"
    assert len(read(images, *rows, own_split)) == 2
    with pytest.raises(ConfigError, match=r"red/0.jpg \(test, red\) and red/1.jpg \(train, red\)"):
        read(images, *rows, f"red/1.jpg,train,red,{HASH.upper()}")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        pytest.param(("file,split,class,Class", "a,b,c,d"), "column class twice", id="column"),
        pytest.param(("file,split", "a,test"), "no column class", id="no column"),
        pytest.param(("",), "no column file, split, class", id="empty"),
        pytest.param(("file,split,class", "red/0.jpg,tset,red"), "lists no images", id="split"),
        pytest.param(("file,split,class", "red/9.jpg,test,red"), "not on disk", id="missing"),
        pytest.param(
            ("file,split,class", f"{'a' * 300}.jpg,test,red"), "name too long", id="long name"
        ),
    ],
)
def test_read_split_says_what_is_wrong_with_a_manifest(
    images: Path, rows: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        read(images, *rows)
