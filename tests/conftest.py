"""Fixtures for all tests: images, a small real bundle, the shared real images."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import onnx
import pytest

from tests.support.images import Jpeg
from tests.support.images import colour_jpeg as make_jpeg
from tests.support.skips import fail_skipped
from tests.support.small_bundle import write_small_bundle

SHARED_IMAGES = Path(__file__).parent.parent.parent / "shared" / "pbc"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_skipped(report)
    return report


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor write the person's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def pbc() -> Path:
    """The shared real cell images."""
    if not (SHARED_IMAGES / "manifest.csv").is_file():
        pytest.skip("the shared real cell images are not beside this checkout")
    return SHARED_IMAGES


@pytest.fixture(scope="session")
def colour_jpeg() -> Jpeg:
    """JPEG bytes of one of the three colours, the classes of the small bundle."""
    return make_jpeg


@pytest.fixture
def small_bundle(tmp_path: Path, colour_jpeg: Jpeg) -> Path:
    """A whole bundle that tells red, green and blue images apart."""
    return write_small_bundle(tmp_path / "colours.edge", colour_jpeg)


@pytest.fixture(scope="session")
def onnx_checker() -> Callable[[bytes], None]:
    """Raises where ONNX bytes are not a valid model."""

    def check(content: bytes) -> None:
        onnx.checker.check_model(onnx.load_model_from_string(content))

    return check
