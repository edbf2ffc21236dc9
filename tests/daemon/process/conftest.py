"""A check of the configuration that hangs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from daemon.operator.check_config import check_config
from tests.daemon.process.reloads import Gate, is_checking
from tests.support.waiting import until


@pytest.fixture
def hung_check(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(check_config)
    monkeypatch.setattr("daemon.operator.check_config.check_config", gate)
    yield gate
    gate.opened.set()
    until(lambda: not is_checking())
