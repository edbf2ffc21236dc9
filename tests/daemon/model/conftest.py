"""A current model on the fake GPU."""

from __future__ import annotations

import pytest

from tests.daemon.model.seat import Seat
from tests.support.fake_gpu import FakeGpu
from tests.support.site import Site


@pytest.fixture
def current_model(gpu_site: Site, gpu: FakeGpu) -> Seat:
    assert not gpu.lost
    return Seat(gpu_site)
