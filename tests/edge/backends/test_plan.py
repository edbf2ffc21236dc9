from __future__ import annotations

from dataclasses import replace

import pytest

from edge.backends.trt.library import Library
from edge.backends.trt.plan import AMPERE_PLUS, SAME_CAPABILITY, Machine, PlanRecord, misfits
from edge.errors import BundleError

MACHINE = Machine("RTX 4000", "8.9", "570.1", "linux-x86_64")
LIBRARY = Library("tensorrt", "10.16.1", None)
RECORD = PlanRecord(
    library="tensorrt",
    library_version="10.16.1",
    precision="int8",
    compute_capabilities=("8.9",),
    portability="same-gpu",
    version_compatible=False,
    os="linux-x86_64",
    gpu="RTX 4000",
    driver="560.2",
    max_batch=64,
    graph_sha256="",
    plan_sha256="",
    plan_bytes=1,
    layers=1,
    quantize_layers=1,
    layer_precisions={"int8": 1},
    flags=(),
    seconds=1.0,
    notes=(),
)


def test_a_plan_fits_the_machine_it_was_built_on_whatever_the_driver() -> None:
    assert misfits(RECORD, MACHINE, LIBRARY) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"library": "tensorrt-rtx"}, "for tensorrt-rtx, not tensorrt"),
        ({"library_version": "10.15.0"}, "for tensorrt 10.15.0, here is tensorrt 10.16.1"),
        ({"library_version": "11.4.0", "version_compatible": True}, "11.4.0"),
        ({"library_version": "10.17.0", "version_compatible": True}, "10.17.0"),
        ({"compute_capabilities": ("8.6",)}, "compute capability 8.6, RTX 4000 has 8.9"),
        ({"gpu": "RTX 4500"}, "for RTX 4500, here is RTX 4000"),
        ({"os": "windows-amd64"}, "for windows-amd64, here is linux-x86_64"),
    ],
)
def test_each_misfit_is_told(change: dict[str, object], told: str) -> None:
    (problem,) = misfits(replace(RECORD, **change), MACHINE, LIBRARY)  # type: ignore[arg-type]
    assert told in problem


@pytest.mark.parametrize(
    "change",
    [
        {"library_version": "10.3.0", "version_compatible": True},
        {"gpu": "RTX 4500", "portability": SAME_CAPABILITY},
        {"compute_capabilities": ("8.0",), "gpu": "A100", "portability": AMPERE_PLUS},
        {"gpu": None, "compute_capabilities": ("8.6", "8.9")},
    ],
)
def test_portable_plans_fit_other_machines(change: dict[str, object]) -> None:
    assert misfits(replace(RECORD, **change), MACHINE, LIBRARY) == []  # type: ignore[arg-type]


def test_ampere_plus_does_not_fit_turing() -> None:
    turing = replace(MACHINE, compute_capability="7.5")
    (problem,) = misfits(replace(RECORD, portability=AMPERE_PLUS), turing, LIBRARY)
    assert "7.5" in problem


@pytest.mark.parametrize("values", [None, [], {}, {"schema": "edge-plan/1"}, {"schema": "other"}])
def test_a_damaged_record_is_refused(values: object) -> None:
    with pytest.raises(BundleError, match="Build the engine again"):
        PlanRecord.from_dict(values)
