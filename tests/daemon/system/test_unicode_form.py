"""Names that are the same text and other bytes: taken as the disk has them, and said."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
import yaml

from daemon.cli import main
from daemon.config.config import load_config
from daemon.image.watch_folder import WatchFolder, names_regex
from daemon.startup import opened_service
from daemon.system.unicode_form import as_on_disk, forms_on_disk
from edge.errors import ConfigError
from edge.text.path_template import PathTemplate
from edge.text.unicode_form import comparable
from tests.support.images import Jpeg
from tests.support.site import Site


def nfd(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    assert decomposed != text
    return decomposed


def test_comparable_is_one_text_for_both_forms() -> None:
    assert comparable(nfd("Prüfung")) == comparable("Prüfung".encode()) == "Prüfung"
    assert comparable(b"\xff.jpg") == "\udcff.jpg"


def test_as_on_disk_takes_the_one_twin_of_each_folder_and_nothing_else(tmp_path: Path) -> None:
    there = tmp_path / nfd("Prüfung") / "a" / "Müller"
    there.mkdir(parents=True)
    typed = tmp_path / "Prüfung" / "a" / nfd("Müller")
    assert as_on_disk(typed) == there
    assert forms_on_disk({typed, there, tmp_path}) == {typed: there}
    assert as_on_disk(typed / "ä new folder") == there / "ä new folder"
    assert as_on_disk(tmp_path / "Pruefung" / "ä") == tmp_path / "Pruefung" / "ä"


def test_as_on_disk_takes_the_name_as_written_where_both_are_there(tmp_path: Path) -> None:
    for name in ("Prüfung", nfd("Prüfung")):
        (tmp_path / name).mkdir()
    assert as_on_disk(tmp_path / "Prüfung") == tmp_path / "Prüfung"
    assert as_on_disk(tmp_path / nfd("Prüfung")) == tmp_path / nfd("Prüfung")


def test_as_on_disk_decides_nothing_where_two_names_are_the_same_text(tmp_path: Path) -> None:
    # Two marks in either order: three ways to write one text.
    written = "a\u0323\u0302"
    for name in ("\u1ea1\u0302", "a\u0302\u0323"):
        (tmp_path / name).mkdir()
    assert as_on_disk(tmp_path / written) == tmp_path / written


def test_service_takes_every_folder_in_the_form_of_the_disk(
    site: Site,
    colour_jpeg: Jpeg,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = {"bundle": "Modell ä", "export": "Prüfung", "results": "Für LIS", "state": "Zustände"}
    bundle = Path(site.settings["bundle"])
    bundle.rename(site.folder / nfd(names["bundle"]))
    for name in ("export", "results"):
        (site.folder / name).rename(site.folder / nfd(names[name]))
    (site.folder / nfd(names["state"])).mkdir()
    image = site.folder / nfd(names["export"]) / nfd("Müller") / "a.jpg"
    image.parent.mkdir()
    image.write_bytes(colour_jpeg("red"))
    site.settings |= {
        "bundle": names["bundle"],
        "watch": [{"folder": names["export"], "sample": "Müller/{sample_id}.jpg"}],
        "results": {"folder": names["results"]},
        "state_dir": names["state"],
    }
    before = sorted(path.name for path in site.folder.iterdir())
    config = site.folder / "edge.yaml"
    config.write_text(yaml.safe_dump(site.settings))
    assert main(["check-config", "--config", str(config)]) == 0
    out = capsys.readouterr().out
    assert out.count("has another Unicode form") == 4
    assert "has sample_id a" in out
    with opened_service(load_config(config), is_once=True) as service:
        service.once(lambda: None)
    assert caplog.text.count("has another Unicode form") == 4
    results = site.folder / nfd(names["results"]) / nfd("Müller")
    assert sorted(path.name for path in results.iterdir()) == ["a.jpg.csv", "a.jpg.json"]
    # `retry` in the form of a keyboard.
    typed = site.folder / names["export"] / "Müller" / "a.jpg"
    assert main(["retry", "--config", str(config), "--image", str(typed)]) == 0
    assert capsys.readouterr().out == "to be labelled again: 1\n"
    assert sorted(path.name for path in site.folder.iterdir()) == sorted([*before, "edge.yaml"])


def test_load_folder_that_is_not_there_keeps_the_name_given(tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_text("bundle: b\nstate_dir: s\nwatch: [{folder: Prüfung}]")
    config = load_config(tmp_path / "edge.yaml")
    assert config.watch[0].folder == tmp_path / "Prüfung"
    assert config.other_forms == ()


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_template_and_patterns_meet_names_in_either_form_and_ids_stay_as_they_are(
    form: str, tmp_path: Path
) -> None:
    def written(text: str) -> str:
        return unicodedata.normalize(form, text)  # type: ignore[arg-type]

    for typed in ("Prüfung/é/{sample_id}/*", nfd("Prüfung/é/{sample_id}/*")):
        path = written("Prüfung/é/Müller/a.jpg").encode()
        assert PathTemplate.parse(typed).ids(path) == (written("Müller"), None)
    root = WatchFolder(
        1, tmp_path, tmp_path, names_regex(("ÄB*.jpg",)), None, names_regex(("Prüf*",))
    )
    assert root.has_image(written("S1/äb1.jpg").encode())
    assert not root.has_image(written("Prüfung/äb1.jpg").encode())


def test_load_one_folder_in_two_forms_is_one_folder(tmp_path: Path) -> None:
    (tmp_path / nfd("Prüfung")).mkdir()
    text = f"bundle: b\nstate_dir: s\nwatch: [{{folder: Prüfung}}, {{folder: {nfd('Prüfung')}}}]"
    (tmp_path / "edge.yaml").write_text(text)
    with pytest.raises(ConfigError, match="is the same folder as"):
        load_config(tmp_path / "edge.yaml")
