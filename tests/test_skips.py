"""A whole machine's tests do not pass by being skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.skips import VARIABLE

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
HOOKS = """
import pytest
from tests.conftest import pytest_make_collect_report
from tests.conftest import pytest_runtest_makereport
"""
SKIPPING = """
import pytest
def test_a(): pytest.skip("mount is not here")
@pytest.mark.skipif(True, reason="no tool")
def test_b(): pass
def test_c(): pytest.skip("the shared real cell images are not beside this checkout")
@pytest.mark.xfail(strict=True)
def test_d(): assert False
def test_e(): pass
"""


@pytest.mark.parametrize(
    ("is_whole", "expected"),
    [
        (True, {"failed": 1, "errors": 1, "skipped": 1, "xfailed": 1, "passed": 1}),
        (False, {"skipped": 3, "xfailed": 1, "passed": 1}),
    ],
)
def test_skip_on_a_whole_machine_fails(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    is_whole: bool,  # noqa: FBT001 - a parameter of the test
    expected: dict[str, int],
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if is_whole:
        monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.syspath_prepend(ROOT)
    pytester.makeconftest(HOOKS)
    pytester.makepyfile(SKIPPING)
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(**expected)


def test_module_that_skips_as_a_whole_fails(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.syspath_prepend(ROOT)
    pytester.makeconftest(HOOKS)
    pytester.makepyfile("import pytest\npytest.skip('no libfuse', allow_module_level=True)")
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(errors=1)
