"""Checks the sizes of tensors for a few operators whose torch kernels do not check them.

With wrong sizes from a file, each of these was seen to read or write outside its tensors, or to
crash the process (torch 2.13, x86-64): decomposed batch norm, LSTM, weight norm, attention called
by its kernel, grid sampling with an unknown mode, antialiased resizing by another scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _get_current_dispatch_mode,
)

from edge.errors import EdgeError

_ATEN: Final = torch.ops.aten


@contextmanager
def checked_kernels() -> Iterator[None]:
    """During the block, a call with wrong sizes raises RuntimeError instead of running."""
    guard = _CheckedKernels()  # type: ignore[no-untyped-call]
    try:
        with guard:
            yield
    except EdgeError:
        # It already explains the cause; errors of earlier attempts do not matter.
        raise
    except Exception as error:
        # TorchScript drops the text of an exception that passes through Python.
        raise guard.take_error() or error from error


def cause_of(error: Exception) -> Exception:
    """The kernel's own exception for one raised in such a block: TorchScript drops its text."""
    guard = _get_current_dispatch_mode()
    return (isinstance(guard, _CheckedKernels) and guard.take_error()) or error


class _CheckedKernels(TorchDispatchMode):  # type: ignore[no-untyped-call]
    error: Exception | None = None

    def take_error(self) -> Exception | None:
        """The last exception of a kernel since the previous call; it is then forgotten."""
        taken, self.error = self.error, None
        return taken

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        try:
            _require_fitting(func, args)
            return func(*args, **(kwargs or {}))
        except Exception as error:
            self.error = error
            raise


def _require_fitting(func: Any, args: tuple[Any, ...]) -> None:
    fits = _CHECKS.get(func.overloadpacket)
    if fits is not None and not fits(*args):
        raise RuntimeError(f"{func} is given tensors of sizes that do not fit together")


def _batch_norm(images: Tensor, *parts: Any) -> bool:
    """All given tensors have one value per channel; mean and variance are given, or training."""
    tensors = [part for part in parts if isinstance(part, Tensor)]
    is_training = any(part is True for part in parts)
    has_statistics = isinstance(parts[2], Tensor) and isinstance(parts[3], Tensor)
    channels = images.shape[1] if images.dim() > 1 else -1
    return (is_training or has_statistics) and all(t.shape == (channels,) for t in tensors)


def _lstm(steps: Tensor, *parts: Any) -> bool:
    """Weights of input and state, two biases, state and cell have the same hidden size."""
    to_gates, from_state, *rest = parts[:6]
    gates, hidden = from_state.shape
    biases, states = rest[:2], rest[2:]
    return (
        gates == 4 * hidden
        and parts[9] == hidden
        and to_gates.shape == (gates, steps.shape[-1])
        and all(bias.shape == (gates,) for bias in biases)
        and all(state.numel() == steps.shape[1] * hidden for state in states)
    )


def _weight_norm(direction: Tensor, length: Tensor, dimension: int = 0) -> bool:
    ones = [1] * direction.dim()
    ones[dimension] = direction.size(dimension)
    return list(length.shape) == ones


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any) -> bool:
    heads = key.size(1)
    return (
        key.shape == value.shape
        and (key.size(0), key.size(3)) == (query.size(0), query.size(3))
        and heads > 0
        and query.size(1) % heads == 0
    )


def _grid_sampler(*parts: Any) -> bool:
    """Interpolation mode and padding mode are known ones."""
    return parts[2] in range(3) and parts[3] in range(3)


def _antialiased(images: Tensor, size: Any, _align_corners: Any, *scales: Any) -> bool:
    """Each scale fits the two sizes; with another one, the kernel's tables may have any length."""
    return all(
        scale is None or abs(before * scale - after) < 1
        for before, after, scale in zip(images.shape[2:], size, scales, strict=False)
    )


# Some of torch's operators have names with an underscore.
_CHECKS: Final[dict[Any, Callable[..., bool]]] = {
    _ATEN.native_batch_norm: _batch_norm,
    _ATEN._native_batch_norm_legit: _batch_norm,  # noqa: SLF001
    _ATEN._native_batch_norm_legit_no_training: _batch_norm,  # noqa: SLF001
    _ATEN.mkldnn_rnn_layer: _lstm,
    _ATEN._weight_norm_interface: _weight_norm,  # noqa: SLF001
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _attention,  # noqa: SLF001
    _ATEN._upsample_bicubic2d_aa: _antialiased,  # noqa: SLF001
    _ATEN._upsample_bilinear2d_aa: _antialiased,  # noqa: SLF001
    _ATEN._upsample_lanczos2d_aa: _antialiased,  # noqa: SLF001
    _ATEN.grid_sampler_2d: _grid_sampler,
    _ATEN.grid_sampler_3d: _grid_sampler,
}
