from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from edge.files.scratch import scratch_folder


def test_scratch_folder_is_removed_with_its_block(tmp_path: Path) -> None:
    with scratch_folder(".x-", tmp_path) as folder:
        (folder / "a").write_bytes(b"x")
        assert folder.parent == tmp_path
        assert folder.name.startswith(".x-")
    assert list(tmp_path.iterdir()) == []


def test_scratch_folder_whose_removal_is_interrupted_is_removed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove, calls = shutil.rmtree, []

    def interrupted_once(*arguments: Any, **options: Any) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        remove(*arguments, **options)

    monkeypatch.setattr(shutil, "rmtree", interrupted_once)
    with pytest.raises(KeyboardInterrupt), scratch_folder(".x-", tmp_path) as folder:
        (folder / "a").write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []
