"""The model that the steps of the intake change, and what they found out about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.loading.intake.subject.refusals import does_not_run
from edge.errors import ModelError

Run = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Given:
    """What the source's own framework gives; nothing for an ONNX file, whose framework this is.

    Attributes:
        outputs: (n, classes) for the samples; None where nobody knows.
        batch: that the graph was exported with, 0 where nobody knows.
        decision: by name all that it gives, (n, ...), where it gives no scores.
    """

    outputs: NDArray[np.float32] | None = None
    batch: int = 0
    decision: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Subject:
    """A model and what is known of it.

    Attributes:
        name: of the file, for messages.
        class_count: how many classes the card has.
        samples: normalised images (n, 3, h, w) to try the model on.
        outputs: what the source gives for them, (n, classes), once that is known.
        batch: the number of images that the graph was made for, 0 until that is known; any other
            may be wrong in it.
        decision: all that the source gives, by name, where it gives no scores.
        removed_head: the operator that turned the logits into probabilities, once taken off.
        changes: what was done to the model, for people to read.
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
        """Height and width of the images, px."""
        return self.samples.shape[2], self.samples.shape[3]

    def given(self) -> NDArray[np.float32]:
        """What the source gives for the samples, after the step that found it out."""
        if self.outputs is None:
            raise ModelError(f"{self.name} was not run. Convert it again.")
        return self.outputs

    def facts(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Facts of the file, with what the steps changed that a person has to know."""
        changes = [*facts.get("changes", []), *self.changes]
        found = {"changes": changes, "removed_head": self.removed_head}
        return facts | {key: value for key, value in found.items() if value}

    def does_not_run(self, error: BaseException, run: Run) -> ModelError:
        """The refusal of a whole file that does not run on the card's images.

        Args:
            run: runs it on an image of another height and width.
        """
        return does_not_run(self.name, self.size, error, run)
