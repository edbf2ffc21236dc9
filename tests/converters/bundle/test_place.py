"""`--overwrite` replaces a bundle and nothing else, and what is read stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from converters.bundle.place import require_target
from converters.cli import main
from edge.errors import ConfigError


def bundle_at(folder: Path) -> Path:
    folder.mkdir()
    manifest = {"schema": "edge-bundle/1", "artefacts": [{"path": "golden/golden.json"}]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "manifest.sha256").write_text("")
    (folder / "golden").mkdir()
    return folder


def test_bundle_is_replaced_if_asked_for(tmp_path: Path) -> None:
    bundle = bundle_at(tmp_path / "a.edge")
    require_target(bundle, [tmp_path / "images"], overwrite=True)
    with pytest.raises(ConfigError, match=r"a\.edge exists; give --overwrite to replace it or"):
        require_target(bundle, [], overwrite=False)


def test_place_that_is_free_or_an_empty_folder_is_taken(tmp_path: Path) -> None:
    require_target(tmp_path / "new.edge", [], overwrite=False)
    (tmp_path / "empty").mkdir()
    require_target(tmp_path / "empty", [], overwrite=True)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("file", "is no folder"),
        ("dangling", "is no folder"),
        ("images", "is no bundle"),
        ("other manifest", "is no bundle"),
        ("damaged", "is no bundle"),
        ("with notes", "holds notes.txt, which is no part of a bundle"),
    ],
)
def test_what_is_no_bundle_is_never_replaced(kind: str, said: str, tmp_path: Path) -> None:
    target = tmp_path / "a.edge"
    if kind == "file":
        target.write_bytes(b"a model")
    elif kind == "dangling":
        target.symlink_to(tmp_path / "nowhere")
    elif kind == "images":
        target.mkdir()
        (target / "1.jpg").write_bytes(b"a cell")
    else:
        bundle_at(target)
        manifest, notes = target / "manifest.json", target / "notes.txt"
        if kind == "with notes":
            notes.write_text("mine")
        else:
            manifest.write_text("{" if kind == "damaged" else '{"schema": "x", "artefacts": []}')
    for overwrite in (True, False):
        with pytest.raises(ConfigError) as error:
            require_target(target, [], overwrite=overwrite)
        assert (
            str(error.value)
            == f"{target} exists and {said}, so it is not replaced; give --out another."
        )


def test_bundle_that_is_read_is_not_replaced(tmp_path: Path) -> None:
    bundle = bundle_at(tmp_path / "a.edge")
    with pytest.raises(ConfigError, match=r"a\.edge holds .*golden, which the conversion reads"):
        require_target(bundle, [bundle / "golden"], overwrite=True)


@pytest.mark.parametrize("out", ["tiny.pt", "validation", "."])
def test_convert_over_what_it_reads_is_refused_and_all_is_left(
    out: str,
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(model_folder)
    before = sorted(model_folder.rglob("*"))
    assert main(["tiny.pt", "--out", out, "--overwrite"]) == 2
    assert f"error: {out} exists and is no " in capsys.readouterr().err
    assert sorted(model_folder.rglob("*")) == before


def test_place_where_no_folder_can_be_made_is_refused_before_the_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be made: .*file is no folder"):
        require_target(tmp_path / "file" / "deep" / "new.edge", [], overwrite=False)
    # Root may write everywhere but on a read-only file system, as this says.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ConfigError, match="or it is read-only; give --out another"):
        require_target(tmp_path / "deep" / "new.edge", [], overwrite=False)
