"""What the server needs of the desk, which knows slides and decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from edge.results.document.result import Person

# Ready to be written as JSON.
Answer = Mapping[str, Any]


class ImagesLike(Protocol):
    """Images by id. Called from several threads."""

    def read(self, key: str, wanted: str, /) -> tuple[bytes, str]:
        """The bytes of a cell's image, and their media type."""


class ReferenceLike(Protocol):
    """Images to compare with, by id. Called from several threads."""

    def classes(self) -> Mapping[str, list[str]]:
        """Ids by class."""

    def read(self, image: str, /) -> tuple[bytes, str]:
        """The bytes of an image, and their media type."""


class DeskLike(Protocol):
    """Slides as one person sees them. Called from one thread, in which it was opened.

    Everything may raise `Refusal` and EdgeError.
    """

    @property
    def images(self) -> ImagesLike:
        """The images of the slides."""

    @property
    def reference(self) -> ReferenceLike:
        """The images to compare with."""

    def slides(self, person: Person, /) -> Answer:
        """All slides."""

    def slide(self, person: Person, key: str, /) -> Answer:
        """One slide with its cells."""

    def entry(self, key: str, /) -> Answer:
        """The number of its last entry."""

    def differential_job(self, person: Person, key: str, /) -> Callable[[], Answer]:
        """What computes the differential, in any thread."""

    def decide(self, person: Person, login: str, key: str, body: dict[str, Any], /) -> Answer:
        """A decision, note, undo, or the end of a blind reading."""

    def sign(self, person: Person, login: str, key: str, body: dict[str, Any], /) -> Answer:
        """A signature."""
