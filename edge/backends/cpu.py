"""Whether this processor saturates 8-bit products; that decides which INT8 graph it may run.

A small convolution is run to find out. /proc/cpuinfo would not do: the hardened service cannot see
it (`ProcSubset=pid`) and would then choose another graph than the commands on the same machine.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import Final

import numpy as np

from edge.backends.onnx import open_onnx

# An ONNX model with one 1 x 1 QLinearConv, the operator into which ONNX Runtime turns the
# convolutions of the INT8 graphs. Input: uint8 (1, 64, 4, 4). Weights: int8 (16, 64, 1, 1), all
# 127. Output scale: 64 * 255 * 127 / 200. It is stored as bytes because `edge` does not depend on
# `onnx`; tests/edge/backends/test_cpu.py builds it with `onnx` and compares.
CONVOLUTION: Final = base64.b64decode(
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
    becomes 32767, and an output of this convolution becomes 101 instead of 200. On ARM and on
    processors without AVX2, ONNX Runtime uses other kernels, which do not saturate.

    Raises:
        BackendError, BundleError: ONNX Runtime does not work here.
    """
    session = open_onnx(CONVOLUTION, "int8")
    outputs = session.infer(np.full((1, _CHANNELS, 4, 4), 255, np.uint8)).logits
    session.close()
    return bool((outputs == _EXACT).all())
