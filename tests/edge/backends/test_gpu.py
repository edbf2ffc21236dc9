from __future__ import annotations

from pathlib import Path

import pytest

from edge.backends.trt import gpu, plan_cache
from edge.backends.trt.gpu import find_machine
from edge.errors import BackendError
from tests.support import fake_gpu
from tests.support.fake_gpu import FakeGpu

MAPPED = "7f10-7f20 r--p 00000000 08:01 131 "


@pytest.mark.parametrize(
    ("file", "release"),
    [
        ("/usr/lib/x86_64-linux-gnu/libcuda.so.550.54.14", "550.54.14"),
        ("/usr/lib/x86_64-linux-gnu/libcuda.so.535.183", "535.183"),
        ("/usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1.1", "CUDA 13.0"),
        ("/usr/lib/x86_64-linux-gnu/libcudart.so.12.4.99", "CUDA 13.0"),
    ],
)
def test_driver_release_comes_from_what_a_sandbox_does_not_hide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, release: str
) -> None:
    """Plans are kept by it: the service must see the one that the commands see."""
    maps = tmp_path / "maps"
    maps.write_text(f"{MAPPED}/usr/bin/python3\n{MAPPED}{file}\n7fff-8000 rw-p 0 00:00 0\n")
    monkeypatch.setattr(gpu, "_MAPPED_FILES", maps)
    fake_gpu.install(monkeypatch, FakeGpu())
    assert find_machine().driver == release


def test_user_without_a_home_folder_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(BackendError, match="Set XDG_CACHE_HOME"):
        plan_cache.default_folder()
