"""What is known of a laboratory: its reference, and which simulated faults that notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from converters.familiarity.choose import LEAST_OF_CLASS
from converters.familiarity.look import look, read
from converters.familiarity.trial import Tried, judged
from converters.inputs.image_set import ImageSet
from edge.preprocess import InputSpec
from edge.session import InferenceSession
from edge.shares.share import Share
from edge.trust.reference import Reference


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A laboratory's reference, and what is known of it.

    Attributes:
        reference: None if it could not be made.
        absent: why there is none; empty if there is one.
        flagged: images of the laboratory that do not pass, each judged by the others.
        strangest: the files with the highest scores, the highest first, with the scores.
        lacking: indices of the classes of which there are too few images.
    """

    images: ImageSet
    reference: Reference | None
    sessions: Mapping[str, InferenceSession]
    spec: InputSpec
    absent: str = ""
    flagged: Share = field(default_factory=lambda: Share(0, 0))
    tried: tuple[Tried, ...] = ()
    strangest: tuple[tuple[Path, float], ...] = ()
    lacking: tuple[int, ...] = ()

    def scores(self, image: Path) -> dict[str, float]:
        """The familiarity score of an image by model file; empty without a reference."""
        if self.reference is None:
            return {}
        found = {}
        for path, session in self.sessions.items():
            seen = look(session, read([image]), self.spec, 1)
            (score,), _ = judged(self.reference, path, seen)
            found[path] = round(score, 3)
        return found

    def noticed_by_reason(self) -> dict[str, Share]:
        """How many pictures with a simulated fault do not pass, by the fault's reason."""
        found: dict[str, Share] = {}
        for one in self.tried:
            before = found.get(str(one.fault.reason), Share(0, 0))
            count, total = before.count + one.noticed.count, before.total + one.noticed.total
            found[str(one.fault.reason)] = Share(count, total)
        return found

    def facts(self) -> dict[str, Any]:
        """The entry `laboratory` of the manifest."""
        facts = {"origin": self.images.origin, "images": len(self.images.files)}
        return {**facts, "absent": self.absent} if self.reference is None else facts

    def warnings(self, classes: Sequence[str]) -> list[str]:
        """A line where there is no reference, or where it lacks classes."""
        if self.reference is not None and not self.lacking:
            return []
        if self.reference is not None:
            names = ", ".join(classes[index] for index in self.lacking)
            line = (
                f"of {names}, the images of the laboratory ({self.images.origin}) hold fewer than "
                f"{LEAST_OF_CLASS}; most of them would be unidentified as unlike the "
                "laboratory's. Add some to its folder"
            )
            return [line]
        line = (
            f"no reference of the laboratory: {self.absent}. Images of another laboratory get "
            "labels as if they were of this one. Give --reference with a folder of exported images"
        )
        return [line]

    def evidence(self) -> dict[str, Any]:
        """The figures, as JSON types, for the evidence of the bundle."""
        facts = self.facts()
        if self.reference is None:
            return facts
        space = self.reference.features
        return {
            **facts,
            "features": space and len(space.mean),
            "components": space and len(space.components),
            "limits": {path: round(one.limit, 4) for path, one in self.reference.graphs.items()},
            "flagged": self.flagged.to_dict(),
            "faults": [
                {
                    "reason": str(one.fault.reason),
                    "text": one.fault.text,
                    "noticed": one.noticed.to_dict(),
                    "named": one.named.to_dict(),
                }
                for one in self.tried
            ],
            "strangest": [
                {"file": path.name, "score": round(score, 3)} for path, score in self.strangest
            ],
        }
