"""Labels the validation images with a graph, as the daemon would, and applies the gate."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray

from converters.accuracy.comparison import Evidence, Logits, Validation, label_all
from converters.accuracy.gate import Check, Gate, judge
from converters.accuracy.temperature import choose_temperature
from converters.accuracy.validation_size import weak_classes_text
from converters.inputs.card import ModelCard
from converters.int8.onnx_to_int8 import Int8Model
from converters.int8.target_session import open_as_target
from converters.layers.placement import Placement
from edge.backends.onnx import open_onnx
from edge.labeller import Labeller
from edge.postprocess import softmax
from edge.session import InferenceSession, Inferred
from edge.shares.share import Share
from edge.text.progress import OnProgress

# A good model leaves only a few percent unidentified; the DM96 analyzer leaves 2.6 %.
MANY_UNIDENTIFIED: Final = 0.2


class Judging:
    """Compares graphs with the FP32 one, whose logits are computed once."""

    def __init__(
        self,
        fp32: onnx.ModelProto,
        card: ModelCard,
        validation: Validation,
        gate: Gate,
        on_progress: OnProgress,
    ) -> None:
        self.gate = gate
        self.validation = validation
        self._card = card
        self._on_progress = on_progress
        self.fp32 = self._label(open_onnx(fp32.SerializeToString(), "fp32"), "fp32")

    @property
    def unidentified_below(self) -> float:
        """The confidence below which a cell stays unidentified."""
        return self._card.unidentified_below

    def __call__(self, int8: Int8Model, placement: Placement) -> tuple[Evidence, list[Check]]:
        """The evidence for a quantized graph, and the gate's checks."""
        return self.judge(open_as_target(int8.model, placement), placement.name)

    def judge(self, session: InferenceSession, name: str) -> tuple[Evidence, list[Check]]:
        """The evidence for any graph, and the gate's checks."""
        counting = _NumbersOnly(session)
        logits = self._label(counting, name)
        evidence = Evidence(self.validation, self.fp32, logits, session.precision)
        return evidence, [*counting.checks(len(logits)), *judge(evidence, self.gate)]

    def fp32_accuracy(self) -> Share | None:
        """Share of right labels of the FP32 graph; None if the images have no labels."""
        return Evidence(self.validation, self.fp32, self.fp32, "fp32").accuracy("fp32")

    def warnings(self) -> list[str]:
        """Warnings about the validation images."""
        found = []
        validation = self.validation
        present = set(validation.labels.tolist())
        missing = [name for i, name in enumerate(validation.classes) if i not in present]
        if not validation.is_labelled:
            found.append(
                f"{validation.origin} has no labels: nothing is known of the model's accuracy, "
                "only whether the other graphs agree with FP32. Give --validation with a folder "
                "per class"
            )
        elif missing:
            found.append(f"no validation images of {', '.join(missing)}: nothing is known of them")
        if weak := weak_classes_text(self._right_of_class()):
            found.append(weak)
        limit = self.unidentified_below
        temperature = choose_temperature(self.fp32, validation.labels).value
        confidence = softmax(self.fp32, temperature).max(1)
        unsure = Share(int((confidence < limit).sum()), len(self.fp32))
        if unsure.rate > MANY_UNIDENTIFIED:
            found.append(
                f"{unsure.count} of {unsure.total} validation images are below the confidence "
                f"limit of {limit} and would stay unidentified. Check unidentified_below"
            )
        return found

    def _right_of_class(self) -> dict[str, tuple[int, int]]:
        """By class, the numbers of images that FP32 labels right and of all images."""
        fp32 = Evidence(self.validation, self.fp32, self.fp32, "fp32")
        names = self.validation.classes
        shares = {name: fp32.accuracy("fp32", index) for index, name in enumerate(names)}
        return {name: (share.count, share.total) for name, share in shares.items() if share}

    def _label(self, session: InferenceSession, name: str) -> Logits:
        labeller = Labeller(
            session,
            classes=self._card.classes,
            spec=self._card.input,
            unidentified_below=self.unidentified_below,
        )
        return label_all(
            labeller,
            self.validation,
            partial(self._on_progress, f"labelling with {name}"),
        )


class _NumbersOnly:
    """A session that replaces NaN and infinite logits by zeros, and counts such images."""

    def __init__(self, session: InferenceSession) -> None:
        self.precision, self.backend, self.graph = session.precision, session.backend, session.graph
        self.max_batch = session.max_batch
        self._session = session
        self._without_numbers = 0

    def infer(self, images: NDArray[np.uint8]) -> Inferred:
        """Logits, all 0 for an image with a NaN or infinite logit, and features."""
        inferred = self._session.infer(images)
        logits = inferred.logits
        broken = ~np.isfinite(logits).all(axis=1, keepdims=True)
        self._without_numbers += int(broken.sum())
        return Inferred(np.where(broken, np.float32(0), logits), inferred.features)

    def close(self) -> None:
        """Free the session's memory."""
        self._session.close()

    def checks(self, total: int) -> list[Check]:
        """A failed check if an image had NaN or infinite logits; otherwise none."""
        count, name = self._without_numbers, self.precision.upper()
        text = f"{name} gives NaN or infinite logits on {count} of {total} images"
        return [Check("finite logits", count, 0, holds=False, text=text)] if count else []
