"""One run of the page: everything that it is made of, opened and closed together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field

from edge.results.review.people.people import People
from edge.results.review.server.application import PageFile, make_application
from edge.results.review.server.connections.listening import Listening, listen
from edge.results.review.server.connections.protocol import Limits
from edge.results.review.server.connections.serve import Server, make_server, run_server
from edge.results.review.server.desk_calls import DeskCalls
from edge.results.review.server.desk_protocol import DeskLike
from edge.results.review.server.entrance import Entrance
from edge.results.review.server.guard.guard import Guard
from edge.results.review.server.guard.refused_lines import RefusedLines
from edge.results.review.server.requests import Visitors
from edge.results.review.server.sessions import Sessions
from edge.results.review.server.slide_routes import SlideRoutes
from edge.results.settings.review_config import ReviewConfig

_MINUTE_S = 60.0


def seconds_awake_or_not() -> float:
    """A clock that never goes back, and goes on while the machine sleeps.

    With `time.monotonic`, a laptop that was closed in the evening would still know its person in
    the morning.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the server takes from outside.

    Attributes:
        opening: gives the desk, which is opened, used and closed in a thread of its own.
        page_file: gives the page's fixed files.
        tell: gets lines for the people who run the page; none has anything of a patient.
        clock: seconds, never going back.
    """

    opening: Callable[[], AbstractContextManager[DeskLike]]
    page_file: PageFile
    tell: Callable[[str], None]
    clock: Callable[[], float] = seconds_awake_or_not
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class PageServer:
    """A page that can be served."""

    listening: Listening
    sessions: Sessions
    server: Server
    tell: Callable[[str], None]

    def new_address(self, *, for_own_browser: bool = False) -> str:
        """An address that lets one browser in; see `Sessions.new_token`."""
        return self.listening.address(self.sessions.new_token(for_own_browser=for_own_browser))

    async def run(self) -> None:
        """Serve until a signal comes, or `end` is called."""
        await run_server(self.server, self.listening, self.tell)

    def end(self) -> None:
        """End it soon; may be called from any thread."""
        self.server.should_exit = True


@contextmanager
def open_page(
    config: ReviewConfig, people: People, surroundings: Surroundings
) -> Iterator[PageServer]:
    """Bind the address and open the desk.

    Raises:
        ConfigError: the address cannot be had.
        EdgeError: the desk cannot be opened.
    """
    tell, clock = surroundings.tell, surroundings.clock
    with ExitStack() as opened:
        listening = listen(config)
        opened.enter_context(closing(listening.socket))
        calls = opened.enter_context(DeskCalls(surroundings.opening))
        sessions = Sessions(clock, config.idle_min * _MINUTE_S, alone=people.alone)
        visitors = Visitors(sessions, _cookie(listening))
        entrance = Entrance(config, people, visitors, calls)
        slides = SlideRoutes(people.login, visitors, calls, entrance)
        app = make_application(entrance, slides, visitors, surroundings.page_file, tell)
        refused = RefusedLines(tell, clock)
        guard = Guard(app, frozenset(listening.origins), refused)
        server = make_server(guard, listening, refused, surroundings.limits)
        yield PageServer(listening, sessions, server, tell)


def _cookie(listening: Listening) -> str:
    """The cookie's name: browsers keep one jar for all ports, and two pages may run."""
    name = f"edge_review_{listening.port}"
    return f"__Host-{name}" if listening.tls else name
