"""Another way of running a bundle's model, ready to be timed beside ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.bundle import Bundle
from edge.golden import golden_labeller
from edge.session import InferenceSession

# The name of an image's most probable class; None if the image cannot be labelled.
LabelImage = Callable[[Path], str | None]


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """An opened contender. It is used by one thread, and closed by `session.close()`.

    Attributes:
        subject: its name in tables and documents, such as `openvino`.
        version: of the library that runs it, and on what.
        threads: how many threads one inference may take.
        session: the network alone, for the level `call`.
        label: from an image file to a label, for the level `image`.
    """

    subject: str
    version: str
    threads: int
    session: InferenceSession
    label: LabelImage


def contender_of(
    subject: str, version: str, threads: int, bundle: Bundle, session: InferenceSession
) -> Contender:
    """A contender in place of our session only; reading, decoding and deciding are ours."""
    return Contender(subject, version, threads, session, labels_of(bundle, session))


def labels_of(bundle: Bundle, session: InferenceSession) -> LabelImage:
    """Labels by our `Labeller` on a session. A label below the card's confidence counts too."""
    labeller = golden_labeller(bundle, session)

    def label(path: Path) -> str | None:
        decision = labeller.label(path).decision
        return decision.label if decision else None

    return label
