"""The routes of slides and images, each a call of the desk for the person who asks."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.results.review.server.desk_calls import DeskCalls
from edge.results.review.server.entrance import Entrance
from edge.results.review.server.guard.answers import json_answer
from edge.results.review.server.requests import Visitors, body_of, id_of


class SlideRoutes:
    """What a person sees and decides."""

    def __init__(
        self, login: str, visitors: Visitors, calls: DeskCalls, entrance: Entrance
    ) -> None:
        """Answer from a desk.

        Args:
            login: how people are known here.
        """
        self._login = login
        self._visitors = visitors
        self._calls = calls
        self._entrance = entrance

    def routes(self) -> list[Route]:
        """All of them."""
        slide = "/api/slides/{key}"
        return [
            Route("/api/slides", self.slides),
            Route(slide, self.slide),
            Route(f"{slide}/entry", self.entry),
            Route(f"{slide}/differential", self.differential),
            Route(f"{slide}/entries", self.decide, methods=["POST"]),
            Route(f"{slide}/sign", self.sign, methods=["POST"]),
            Route("/images/{key}/{id}", self.image),
            Route("/api/reference", self.reference),
            Route("/reference/{id}", self.reference_image),
        ]

    async def slides(self, request: Request) -> Response:
        """All slides."""
        person, desk = self._visitors.person(request), self._calls.desk
        return json_answer(await self._calls.in_desk(lambda: desk.slides(person)))

    async def slide(self, request: Request) -> Response:
        """One slide with its cells."""
        person, desk = self._visitors.person(request), self._calls.desk
        key = id_of(request, "key")
        return json_answer(await self._calls.in_desk(lambda: desk.slide(person, key)))

    async def entry(self, request: Request) -> Response:
        """Whether the slide has changed."""
        self._visitors.person(request)
        key, desk = id_of(request, "key"), self._calls.desk
        return json_answer(await self._calls.in_desk(lambda: desk.entry(key)))

    async def differential(self, request: Request) -> Response:
        """The differential as the cells are now."""
        person, desk = self._visitors.person(request), self._calls.desk
        key = id_of(request, "key")
        job = await self._calls.in_desk(lambda: desk.differential_job(person, key))
        return json_answer(await self._calls.beside(job))

    async def decide(self, request: Request) -> Response:
        """A decision, an undo, a note, or the end of a reading."""
        person, desk = self._visitors.person(request), self._calls.desk
        key, body, login = id_of(request, "key"), await body_of(request), self._login
        return json_answer(await self._calls.in_desk(lambda: desk.decide(person, login, key, body)))

    async def sign(self, request: Request) -> Response:
        """A signature; the PIN stays here."""
        person, desk = self._visitors.person(request), self._calls.desk
        key, body, login = id_of(request, "key"), await body_of(request), self._login
        await self._entrance.check_signature(person, body.pop("pin", None))
        return json_answer(await self._calls.in_desk(lambda: desk.sign(person, login, key, body)))

    async def image(self, request: Request) -> Response:
        """A cell's image."""
        self._visitors.person(request)
        key, id_ = id_of(request, "key"), id_of(request, "id")
        images = self._calls.desk.images
        content, kind = await self._calls.beside(lambda: images.read(key, id_))
        return Response(content, media_type=kind)

    async def reference(self, request: Request) -> Response:
        """Which images of each class there are to compare with."""
        self._visitors.person(request)
        return json_answer(
            {"classes": await self._calls.beside(self._calls.desk.reference.classes)}
        )

    async def reference_image(self, request: Request) -> Response:
        """One of them."""
        self._visitors.person(request)
        id_, images = id_of(request, "id"), self._calls.desk.reference
        content, kind = await self._calls.beside(lambda: images.read(id_))
        return Response(content, media_type=kind)
