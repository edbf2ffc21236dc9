"""Error messages for networks with other inputs than one batch of colour images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from converters.loading.canonical.working_model.graph_session import reason_of
from converters.loading.graph_file.size_search import running_sizes
from edge.errors import ModelError
from edge.text.counted import counted


def does_not_run(
    name: str,
    size: tuple[int, int],
    error: BaseException,
    run: Callable[[int, int], object],
) -> ModelError:
    """The error for a network that does not run on the card's images.

    Args:
        size: the card's height and width in px.
        error: the exception that it raised.
        run: runs it on an image of any height and width, or raises.
    """
    height, width = size
    advice = running_sizes(run, height, width)
    return ModelError(
        f"{name} does not run on float images (batch, 3, {height}, {width}): "
        f"{reason_of(error)}. {advice}, or export a classifier of one image tensor."
    )


def has_other_channels(name: str, channels: int, where: str = "") -> ModelError:
    """The error for a network without three input channels; `where` says how that was found."""
    return ModelError(
        f"{name} takes images of {counted(channels, 'channel')}{where}, 3 are needed: red, green "
        "and blue. Train or export the network for colour images."
    )


def has_other_inputs(name: str, inputs: Sequence[str]) -> ModelError:
    """The error for a network with other inputs than one image; `inputs` in words."""
    found = ", ".join(inputs) or "none is read"
    return ModelError(
        f"{name} has {len(inputs)} inputs ({found[:300]}); a classifier with one input, the "
        "image, is needed. Export it with the others as constants."
    )
