"""Who has opened the page: one-time tokens, the sessions they give, and the person of each."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge.results.document.result import Person

_BYTES: Final = 32
# Each needs an address that a person asked for.
_MOST: Final = 64


@dataclass(slots=True)
class Session:
    """A browser that was let in.

    Attributes:
        used_at: when its person last did something, by the clock of `Sessions`.
    """

    person: Person | None
    used_at: float


class Sessions:
    """All of one run, in memory: they end with it.

    Secrets are looked up by their hash, so that the time of a look-up tells nothing of them.
    """

    def __init__(
        self, clock: Callable[[], float], idle_s: float, *, alone: Person | None = None
    ) -> None:
        """Nobody is in.

        Args:
            clock: seconds, never going back.
            idle_s: the person is forgotten after so long; the session is not.
            alone: the person of every session, who is never forgotten; None: people log in.
        """
        self._clock = clock
        self._idle_s = idle_s
        self._alone = alone
        # By whether it is for the browser of the user who started the page.
        self._tokens: dict[bool, bytes] = {}
        self._sessions: dict[bytes, Session] = {}

    def new_token(self, *, for_own_browser: bool = False) -> str:
        """A token that lets one browser in; the one of its kind before lets nobody in any more.

        Args:
            for_own_browser: for a browser of the user who started the page.
        """
        token = secrets.token_urlsafe(_BYTES)
        self._tokens[for_own_browser] = _digest(token)
        return token

    def enter(self, token: str, *, is_own_browser: Callable[[], bool]) -> str | None:
        """Use the token up; returns the secret of a new session, or None if it is not valid.

        Args:
            is_own_browser: whether the user who started the page uses it.
        """
        digest = _digest(token)
        kind = next((k for k, d in self._tokens.items() if secrets.compare_digest(d, digest)), None)
        if kind is None or (kind and not is_own_browser()):
            return None
        del self._tokens[kind]
        if len(self._sessions) >= _MOST:
            del self._sessions[next(iter(self._sessions))]
        secret = secrets.token_urlsafe(_BYTES)
        self._sessions[_digest(secret)] = Session(self._alone, self._clock())
        return secret

    def find(self, secret: str) -> Session | None:
        """The session; without its person if that one was away for too long."""
        session = self._sessions.get(_digest(secret))
        if session is None:
            return None
        if self._alone is None and self._clock() - session.used_at >= self._idle_s:
            session.person = None
        return session

    def keep(self, session: Session) -> None:
        """Its person has just done something."""
        session.used_at = self._clock()

    def log_in(self, session: Session, person: Person) -> None:
        """The session is this person's from now on."""
        session.person = person
        self.keep(session)

    def log_out(self, session: Session) -> None:
        """Nobody is there any more, except the one who is there alone."""
        session.person = self._alone


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
