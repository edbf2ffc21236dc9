"""Who may review, and how each of them shows who it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from edge.errors import ConfigError
from edge.results.document.result import Person
from edge.results.review.people.attempts import Attempts
from edge.results.review.people.pin_hash import PinHash
from edge.results.review.people.system_user import system_user
from edge.results.settings.review_config import ReviewPerson

# Wrong PINs of one person, and of all together, before anybody has to wait.
_FREE: Final = 5
_FREE_OF_ALL: Final = 20


class WaitError(Exception):
    """Too many wrong PINs."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("too many wrong PINs")
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Attempt:
    """A PIN that somebody gave: compare it, in a thread, and tell `People.close_attempt`."""

    person: Person
    hash: PinHash
    pin: str

    def is_right(self) -> bool:
        """Compare; takes about 50 ms."""
        return self.hash.matches(self.pin)


class People:
    """The site's list with PINs; without one, the system's user alone.

    Use it from one thread.

    Attributes:
        alone: the system's user, who needs no PIN; None if there is a list.
        everyone: in the order of the list.
    """

    def __init__(
        self,
        listed: Sequence[ReviewPerson] = (),
        *,
        user: Callable[[], Person] = system_user,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Check the list.

        Raises:
            ConfigError: a line for each PIN hash that cannot be used.
        """
        self._hashes = _hashes(listed)
        self.alone = None if listed else user()
        self.everyone = tuple(Person(one.id, one.name) for one in listed)
        self._attempts = {one.id: Attempts(_FREE, clock) for one in listed}
        self._all = Attempts(_FREE_OF_ALL, clock)

    @property
    def login(self) -> str:
        """How people are known, for the record."""
        return "pin" if self.alone is None else "system"

    def open_attempt(self, id_: str, pin: str) -> Attempt | None:
        """Somebody says to be this person; None if the list has no such id.

        Raises:
            WaitError: too many wrong PINs; nothing was compared or counted.
        """
        person = next((one for one in self.everyone if one.id == id_), None)
        counts = [self._all, *([self._attempts[id_]] if person else [])]
        if (wait_s := max(count.wait_s for count in counts)) > 0:
            raise WaitError(wait_s)
        for count in counts:
            count.begin()
        return Attempt(person, self._hashes[id_], pin) if person else None

    def close_attempt(self, attempt: Attempt, *, is_right: bool) -> None:
        """What came of it."""
        if is_right:
            self._attempts[attempt.person.id].right(forgets_all=True)
            self._all.right(forgets_all=False)


def _hashes(listed: Sequence[ReviewPerson]) -> dict[str, PinHash]:
    found, problems = {}, []
    for i, one in enumerate(listed):
        try:
            found[one.id] = PinHash.parse(one.pin)
        except ValueError as error:
            problems.append(
                f"review.people[{i}].pin {error}; make one with edge-results review --make-pin."
            )
    if problems:
        raise ConfigError("\n".join(problems))
    return found
