"""Sizes that torch's own code for a few operators takes on trust, looked at before it runs.

Each of these was seen to read or write beyond its tensors, or to end the process, when a file gave
it other sizes (torch 2.13, x86-64): batch norm in its decomposed form, LSTM, weight norm, attention
called by its kernel, grid sampling with an unknown mode, antialiased resizing by another scale.
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
    """While the block runs, such a call raises RuntimeError and is not made."""
    guard = _CheckedKernels()  # type: ignore[no-untyped-call]
    try:
        with guard:
            yield
    except EdgeError:
        # Says already what is wrong; what was tried for it has failed before.
        raise
    except Exception as error:
        # TorchScript loses the text of an error that came through Python.
        raise guard.take_error() or error from error


def cause_of(error: Exception) -> Exception:
    """Of an error inside such a block the kernel's own: TorchScript loses its text."""
    guard = _get_current_dispatch_mode()
    return (isinstance(guard, _CheckedKernels) and guard.take_error()) or error


class _CheckedKernels(TorchDispatchMode):  # type: ignore[no-untyped-call]
    error: Exception | None = None

    def take_error(self) -> Exception | None:
        """What a kernel raised since this was asked last."""
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
    """Weight, bias, mean and variance hold one number a channel; without training all is there."""
    tensors = [part for part in parts if isinstance(part, Tensor)]
    is_training = any(part is True for part in parts)
    has_statistics = isinstance(parts[2], Tensor) and isinstance(parts[3], Tensor)
    channels = images.shape[1] if images.dim() > 1 else -1
    return (is_training or has_statistics) and all(t.shape == (channels,) for t in tensors)


def _lstm(steps: Tensor, *parts: Any) -> bool:
    """Weights of input and state, two biases, state and cell, of one hidden size."""
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
    """The numbers of the mode and of the padding are known ones."""
    return parts[2] in range(3) and parts[3] in range(3)


def _antialiased(images: Tensor, size: Any, _align_corners: Any, *scales: Any) -> bool:
    """A scale is that of the two sizes; another one asks for tables of any length."""
    return all(
        scale is None or abs(before * scale - after) < 1
        for before, after, scale in zip(images.shape[2:], size, scales, strict=False)
    )


# The names with an underscore are those of the operators.
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
