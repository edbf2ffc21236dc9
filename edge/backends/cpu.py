"""What this machine's processor does with 8-bit integers: it decides which graph it may run.

It is computed, not looked up. A hardened service sees no /proc/cpuinfo (`ProcSubset=pid`), and
would otherwise take another graph than the commands that a person runs beside it.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import Final

import numpy as np

from edge.backends.onnx import open_onnx

# An ONNX model with one 1 x 1 convolution, QLinearConv as the INT8 graphs become in ONNX Runtime,
# of uint8 images (1, 64, 4, 4) and int8 weights (16, 64, 1, 1) that are all 127; its outputs are
# divided by 64 * 255 * 127 / 200. It stands here as bytes because the runtime cannot write ONNX;
# tests/edge/backends/test_cpu.py writes it anew with `onnx` and compares.
_CONVOLUTION: Final = base64.b64decode(
    "CAg67wEKLAoBcxIBdyIPQ29uc3RhbnRPZlNoYXBlKhMKBXZhbHVlKgcIARADSgF/oAEECjQKAXgKA29uZQoEemVybwoB"
    "dwoDb25lCgJ6dwoCeXMKBHplcm8SAXkiC1FMaW5lYXJDb252EgFwKikIBBAHQgFzSiAQAAAAAAAAAEAAAAAAAAAAAQAA"
    "AAAAAAABAAAAAAAAACoNEAFCA29uZUoEAACAPyoLEAJCBHplcm9KAQAqCRADQgJ6d0oBACoMEAFCAnlzSgTN7CFGWhsK"
    "AXgSFgoUCAISEAoCCAEKAghACgIIBAoCCARiCQoBeRIECgIIAkIECgAQDQ=="
)
_CHANNELS: Final = 64
_EXACT: Final = 200


@cache
def has_vnni() -> bool:
    """Whether ONNX Runtime sums products of 8-bit integers here without saturating.

    With VNNI it sums four products at once in 32 bits. With AVX2 or AVX-512 alone its kernel for
    uint8 times int8 (vpmaddubsw) adds pairs of products in signed 16 bits: 2 * 255 * 127 = 64770
    becomes 32767, and an output of this convolution 101 in place of 200. ARM and processors
    without AVX2 take other kernels, which do not saturate and need nothing more.

    Raises:
        BackendError, BundleError: ONNX Runtime does not work here.
    """
    session = open_onnx(_CONVOLUTION, "int8")
    outputs = session.infer(np.full((1, _CHANNELS, 4, 4), 255, np.uint8))
    session.close()
    return bool((outputs == _EXACT).all())
