"""Tests for `edge-daemon check-config`: every problem is named, and what would be done is shown."""

from __future__ import annotations

import os
import pwd

import pytest

from tests.daemon.commands import run
from tests.support.images import Jpeg
from tests.support.site import Site


def test_check_config_says_what_would_be_done(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.settings["precision"] = "int8"
    assert run(site, "check-config") == 0
    out = capsys.readouterr().out
    assert "colours 1, int8 on onnxruntime-cpu (model.int8.onnx)\n" in out
    assert "3 golden images got the right labels" in out
    assert f"json and csv in {site.results}" in out
    assert not (site.folder / "state").exists()


def test_check_config_folders_that_cannot_be_used_are_all_named(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.export.rmdir()
    site.results.rmdir()
    site.results.write_bytes(b"in the way")
    site.settings["bundle"] = "none.edge"
    assert run(site, "check-config") == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert all(line.startswith("error: ") for line in errors)
    assert "is not a folder" in errors[1]
    assert "none.edge" in errors[2]


def test_check_config_results_folder_that_is_not_there_says_how_to_make_it(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.results.rmdir()
    assert run(site, "check-config") == 2
    assert f"make it: mkdir -p {site.results}" in capsys.readouterr().err


@pytest.mark.usefixtures("_no_superuser")
def test_check_config_folders_without_permission_are_problems(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    site.settings["results"] = {"folder": "locked/results"}
    site.settings["state_dir"] = "locked/state"
    site.settings["watch"] = [{"folder": "locked/export"}]
    locked = site.folder / "locked"
    for name in ("results", "export"):
        (locked / name).mkdir(parents=True)
    (locked / "export" / "a.jpg").write_bytes(colour_jpeg())
    locked.chmod(0)
    for command, exit_code, lines in (("check-config", 2, 3), ("once", 6, 1), ("run", 6, 1)):
        assert run(site, command) == exit_code
        errors = capsys.readouterr().err.splitlines()
        assert len(errors) == lines
        assert all("ermission" in line for line in errors)
        if command == "check-config":
            user = pwd.getpwuid(os.geteuid()).pw_name
            assert all(f"Give the user {user} the permission" in line for line in errors)
    locked.chmod(0o700)
    assert run(site, "once") == 0
    assert (locked / "results" / "a.jpg.json").exists()


def test_check_config_shows_what_the_template_makes_of_an_image(
    site: Site, colour_jpeg: Jpeg, capsys: pytest.CaptureFixture[str]
) -> None:
    run(site, "check-config")
    assert "not tried, as there is no image yet" in capsys.readouterr().out
    site.add("stray.jpg", colour_jpeg())
    run(site, "check-config")
    assert "WARNING: none of 1 image matches" in capsys.readouterr().out
    site.add("S9/2/a.jpg", colour_jpeg())
    run(site, "check-config")
    out = capsys.readouterr().out
    assert "S9/2/a.jpg has sample_id S9, slide_id 2; no match: 1 of 2 images" in out
