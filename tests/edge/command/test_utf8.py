"""Tests for edge.command.utf8, with a real locale of another encoding."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.images import Jpeg

NAME = "de_DE.ISO-8859-1"


@pytest.fixture(scope="module")
def latin1(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a German Latin-1 locale, made here."""
    if shutil.which("localedef") is None:
        pytest.skip("localedef is not here (Debian: locales)")
    folder = tmp_path_factory.mktemp("locale")
    command = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / NAME)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # 1: made with warnings.
    if not (folder / NAME / "LC_CTYPE").exists():
        pytest.skip(f"the locale cannot be made: {done.stderr.strip()}")
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "PYTHONUTF8"))}
    return {**plain, "LOCPATH": str(folder), "LC_ALL": NAME, "PYTHONWARNDEFAULTENCODING": "0"}


def test_folders_and_ids_of_utf8_are_found_and_written_in_a_latin1_locale(
    tmp_path: Path, small_bundle: Path, colour_jpeg: Jpeg, latin1: dict[str, str]
) -> None:
    code = "import sys; print(sys.getfilesystemencoding())"
    said = subprocess.run(
        [sys.executable, "-c", code], env=latin1, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "iso8859-1"
    image = tmp_path / "Prüfung" / "Müller" / "Zelle ß.jpg"
    image.parent.mkdir(parents=True)
    image.write_bytes(colour_jpeg("red"))
    (tmp_path / "Ergebnisse ä").mkdir()
    config = tmp_path / "für.yaml"
    config.write_text(
        f"bundle: {small_bundle}\nstate_dir: Zustand ö\nresults: {{folder: Ergebnisse ä}}\n"
        "watch: [{folder: Prüfung, sample: '{sample_id}/*'}]\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "daemon.cli", "once", "--config", str(config)],
        env=latin1,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sidecar = tmp_path / "Ergebnisse ä" / "Müller" / "Zelle ß.jpg.json"
    fields = json.loads(sidecar.read_text(encoding="utf-8"))
    assert (fields["status"], fields["label"]) == ("labelled", "red")
    assert (fields["sample_id"], fields["image"]["file"]) == ("Müller", "Zelle ß.jpg")
    assert sorted(path.name for path in tmp_path.glob("Zustand*")) == ["Zustand ö"]
