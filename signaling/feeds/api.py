"""Cameras into a lesson and a lesson to other platforms, over HTTP.

    GET    /api/lessons/{lesson}/ingest        what is pulled into it
    POST   /api/lessons/{lesson}/ingest        pull: {"url": "rtsp://...", "source": "camera", ...}
    DELETE /api/lessons/{lesson}/ingest/{id}   pull it no more
    GET    /api/lessons/{lesson}/push          where it is sent
    POST   /api/lessons/{lesson}/push          send it: {"url": "rtmp://...", "source": "camera"}
    DELETE /api/lessons/{lesson}/push/{id}     send it no more

For a teacher's, an assistant's or an administrator's token. URLs come back without what is secret.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web
from pydantic import ValidationError

from signaling.auth import Permissions
from signaling.edge import json_body, lesson_name, permissions
from signaling.errors import NotAllowed
from signaling.events import STAFF, Role
from signaling.feeds.feed import Feed
from signaling.feeds.ingest import Ingests, validated
from signaling.feeds.push import Pushes, PushWish

_Handler = Callable[[web.Request], Awaitable[web.Response]]


class _Feeds(Protocol):
    def of(self, lesson: str) -> Sequence[Feed]: ...
    def remove(self, lesson: str, feed_id: str) -> bool: ...


class FeedsApi:
    """The handlers."""

    def __init__(self, ingests: Ingests, pushes: Pushes, keys: Mapping[str, str]) -> None:
        self._ingests = ingests
        self._pushes = pushes
        self._keys = keys

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to an application."""
        ingest, push = "/api/lessons/{lesson}/ingest", "/api/lessons/{lesson}/push"
        return [
            web.get(ingest, self._show(self._ingests)),
            web.post(ingest, self._pull),
            web.delete(ingest + "/{id}", self._remove(self._ingests)),
            web.get(push, self._show(self._pushes)),
            web.post(push, self._push),
            web.delete(push + "/{id}", self._remove(self._pushes)),
        ]

    def _show(self, feeds: _Feeds) -> _Handler:
        async def show(request: web.Request) -> web.Response:
            lesson = self._staff(request)
            return web.json_response([feed.describe() for feed in feeds.of(lesson)])

        return show

    def _remove(self, feeds: _Feeds) -> _Handler:
        async def remove(request: web.Request) -> web.Response:
            lesson = self._staff(request)
            if not feeds.remove(lesson, request.match_info["id"]):
                raise web.HTTPNotFound(text="There is no such feed; it may have ended.")
            return web.Response(status=204)

        return remove

    async def _pull(self, request: web.Request) -> web.Response:
        lesson = self._staff(request)
        wish = await json_body(request)
        try:
            source = validated(wish, lesson)
        except ValidationError as error:
            raise web.HTTPBadRequest(text=_sentence(error)) from None
        if source.role == "teacher" and self._who(request).role == Role.ASSISTANT:
            raise NotAllowed("Only a teacher or an administrator lets a source give the lesson.")
        try:
            return _created(self._ingests.add(source))
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"url {error}.") from None

    async def _push(self, request: web.Request) -> web.Response:
        lesson = self._staff(request)
        wish = _push_wish(await json_body(request))
        try:
            return _created(self._pushes.add(lesson, wish))
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"url {error}.") from None

    def _staff(self, request: web.Request) -> str:
        """The lesson in the URL. Raises NotAllowed for whoever may not decide over it."""
        lesson = lesson_name(request)
        who = self._who(request)
        if who.role in STAFF:
            who.require_end(lesson)
        else:
            who.require_room_admin(lesson)
        return lesson

    def _who(self, request: web.Request) -> Permissions:
        return permissions(request, self._keys)


def _created(feed: Feed) -> web.Response:
    return web.json_response(feed.describe(), status=201)


def _push_wish(wish: Mapping[str, Any]) -> PushWish:
    source, audio = wish.get("source", "camera"), wish.get("audio", "aac")
    if unknown := set(wish) - {"url", "source", "audio"}:
        raise web.HTTPBadRequest(text=f"{min(unknown)[:40]} is not url, source or audio.")
    if source not in ("camera", "slides"):
        raise web.HTTPBadRequest(text="source must be camera or slides.")
    if audio not in ("aac", "opus"):
        raise web.HTTPBadRequest(text="audio must be aac or opus.")
    return PushWish(wish.get("url", ""), source, audio)


def _sentence(error: ValidationError) -> str:
    """The first complaint; never what was sent, which may hold a password."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(map(str, first["loc"]))[:40]
    if first["type"] == "extra_forbidden":
        return f"{name} is not url, source, role, name, transport or audio."
    problem = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{name}: {problem}."
