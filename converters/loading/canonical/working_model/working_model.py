"""The model that the steps change, and what is known about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.loading.canonical.working_model.refusals import does_not_run
from edge.errors import ModelError

Run = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class SourceOutputs:
    """The outputs of the source's own framework; empty for an ONNX file.

    Attributes:
        outputs: logits (n, classes) for the samples; None if not known.
        batch: the batch with which the graph was exported; 0 if not known.
        decision: all outputs (n, ...) by name, if the source outputs only decisions.
    """

    outputs: NDArray[np.float32] | None = None
    batch: int = 0
    decision: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(slots=True)
class WorkingModel:
    """A model on its way to canonical form.

    Attributes:
        name: the file's name, for messages.
        class_count: the card's number of classes.
        samples: normalised images (n, 3, h, w) on which the model is run.
        outputs: the source's logits (n, classes) for them; None until known.
        batch: the batch for which the graph was exported, 0 until known. With other batches it
            may fail or be wrong.
        decision: all outputs of the source, by name, if it outputs only decisions.
        removed_head: the operator at the end that was removed, such as softmax.
        changes: what was changed, in words, for the report.
    """

    model: onnx.ModelProto
    name: str
    class_count: int
    samples: NDArray[np.float32]
    outputs: NDArray[np.float32] | None = None
    batch: int = 0
    decision: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    removed_head: str | None = None
    changes: list[str] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in px."""
        return self.samples.shape[2], self.samples.shape[3]

    def source_logits(self) -> NDArray[np.float32]:
        """The source's logits for the samples (n, classes); call only once they are known."""
        if self.outputs is None:
            raise ModelError(f"{self.name} was not run. Convert it again.")
        return self.outputs

    def facts(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Facts about the file, extended by the changes to the model."""
        changes = [*facts.get("changes", []), *self.changes]
        found = {"changes": changes, "removed_head": self.removed_head}
        return facts | {key: value for key, value in found.items() if value}

    def does_not_run(self, error: BaseException, run: Run) -> ModelError:
        """The error for a model that does not run on the card's images.

        Args:
            run: runs it on an image of any height and width, or raises.
        """
        return does_not_run(self.name, self.size, error, run)
