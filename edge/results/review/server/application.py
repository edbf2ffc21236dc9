"""The application: its routes, and what each error becomes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.command.run import place_of
from edge.errors import EdgeError, first_line
from edge.results.review.refusal import Refusal
from edge.results.review.server.entrance import Entrance
from edge.results.review.server.guard.answers import RequestError, error_answer, text_answer
from edge.results.review.server.requests import Visitors
from edge.results.review.server.slide_routes import SlideRoutes

# A fixed file of the page, by the last part of its address: its bytes and media type.
PageFile = Callable[[str], tuple[bytes, str]]
_Endpoint = Callable[[Request], Awaitable[Response]]
_FILES: Final = {
    "/": "index.html",
    "/review.js": "review.js",
    "/review.css": "review.css",
    "/texts.json": "texts.json",
}


def make_application(
    entrance: Entrance,
    slides: SlideRoutes,
    visitors: Visitors,
    page_file: PageFile,
    tell: Callable[[str], None],
) -> Starlette:
    """Put the routes together.

    Args:
        tell: gets a line for an unexpected error, without its text.
    """
    routes = [
        *(Route(path, _page(visitors, page_file, name)) for path, name in _FILES.items()),
        Route("/enter", entrance.enter),
        Route("/api/session", entrance.session),
        Route("/api/login", entrance.login, methods=["POST"]),
        Route("/api/logout", entrance.logout, methods=["POST"]),
        Route("/api/here", entrance.here, methods=["POST"]),
        *slides.routes(),
    ]
    answering = [
        Route(route.path, _answering(route.endpoint, tell), methods=list(route.methods or {"GET"}))
        for route in routes
    ]
    # A path with a slash at its end is another one, and not sent elsewhere.
    app = Starlette(routes=answering, exception_handlers={HTTPException: _no_route})
    app.router.redirect_slashes = False
    return app


def _page(visitors: Visitors, page_file: PageFile, name: str) -> _Endpoint:
    """A fixed file of the page, for a browser that was let in."""

    async def answer(request: Request) -> Response:
        try:
            visitors.session(request)
        except RequestError as error:
            refused = text_answer(error.status, str(error))
            refused.headers["connection"] = "close"
            return refused
        content, kind = page_file(name)
        return Response(content, media_type=kind)

    return answer


def _answering(endpoint: _Endpoint, tell: Callable[[str], None]) -> _Endpoint:
    """The endpoint with an answer for each error."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RequestError as error:
            refused = error_answer(error.status, error.code, str(error), **error.more)
            if error.code == "no_session":
                # Connections are kept for those who were let in.
                refused.headers["connection"] = "close"
            return refused
        except Refusal as error:
            return error_answer(error.status, error.code, error.text, **error.more)
        except EdgeError as error:
            return error_answer(503, "storage", first_line(error))
        except ValueError as error:
            return error_answer(400, "bad_request", f"the request is wrong: {first_line(error)}")
        except Exception as error:  # noqa: BLE001 - the page goes on, and the text may name a patient
            tell(f"unexpected {type(error).__name__} at {place_of(error)}")
            text = "an unexpected error; load the slide again to see what is recorded"
            return error_answer(500, "unexpected", text)

    return answer


async def _no_route(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = "unknown" if status == 404 else "bad_request"
    return error_answer(status, code, "there is no such address, or not for this method")
