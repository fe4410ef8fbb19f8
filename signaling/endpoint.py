"""What WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) have in common: nearly all of it.

    POST    /{lesson}/{whip|whep}             offer in, 201 with answer, Location and ETag out
    PATCH   /{lesson}/{whip|whep}/{session}   trickle ICE (204) or an ICE restart (200)
    DELETE  /{lesson}/{whip|whep}/{session}   the end (200)
    OPTIONS both                              CORS and Accept-Post (204)

A session's URL cannot be guessed; whoever knows it may end or restart the session.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from aiohttp import web
from multidict import CIMultiDict

from sfu.negotiation import Offer
from sfu.sdp_offer import parse_fragment, parse_offer
from signaling.auth import Permissions
from signaling.classroom import Classroom
from signaling.config import IceServer
from signaling.desk import Desks
from signaling.door import Door
from signaling.edge import lesson_name, permissions, text_body
from signaling.events import Role
from signaling.registry import Registry
from signaling.session import Session

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"

_PATHS = re.compile(r"/[^/]+/(whip|whep)(/[^/]*){0,2}")
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Location, ETag, Link, Retry-After, Accept-Post, Accept-Patch",
}
_PREFLIGHT = {
    "Accept-Post": SDP,
    "Accept-Patch": FRAGMENT,
    "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "86400",
}


class Endpoint(ABC):
    """One of the two protocols."""

    name: ClassVar[str]
    """The last part of the URL."""
    role: ClassVar[Role]
    """What its clients are in the lesson."""

    def __init__(
        self,
        registry: Registry,
        desks: Desks,
        keys: Mapping[str, str],
        door: Door,
        ice_servers: Sequence[IceServer] = (),
    ) -> None:
        self._registry = registry
        self._desks = desks
        self._keys = keys
        self._door = door
        self._ice_servers = [link for server in ice_servers for link in ice_links(server)]

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to an application."""
        root, session = f"/{{lesson}}/{self.name}", f"/{{lesson}}/{self.name}/{{session}}"
        return [
            web.post(root, self._post),
            web.options(root, self._options),
            web.patch(session, self._patch),
            web.delete(session, self._delete),
            web.options(session, self._options),
        ]

    @abstractmethod
    def authorize(self, who: Permissions, lesson: str) -> None:
        """Raise NotAllowed unless this bearer may enter, NotLive where nobody can yet."""

    @abstractmethod
    def admit(self, who: Permissions, lesson: str, offer: Offer) -> Session:
        """Seat the client. Raises LessonError, NegotiationError."""

    def links(self, session: Session, location: str) -> list[str]:
        """`Link` headers of a new session, besides those that name ICE servers."""
        return []

    async def _post(self, request: web.Request) -> web.Response:
        lesson = lesson_name(request)
        who = permissions(request, self._keys)
        self.authorize(who, lesson)
        session = await self._join(who, lesson, await text_body(request, SDP))
        location = f"{request.rel_url.raw_path.rstrip('/')}/{session.id}"
        headers = CIMultiDict({"Location": location, "ETag": session.etag})
        headers.add("Accept-Patch", FRAGMENT)
        for link in [*self._ice_servers, *self.links(session, location)]:
            headers.add("Link", link)
        answer = web.Response(status=201, text=session.answer, content_type=SDP, headers=headers)
        answer.enable_compression()  # for who accepts it: on a narrow link it is time
        return answer

    async def _join(self, who: Permissions, lesson: str, text: str) -> Session:
        """Seat the client when its turn has come; its place is held until it is connected."""
        ticket = await self._door.enter(lesson, self.role)
        try:
            session = self.admit(who, lesson, parse_offer(text))
        except BaseException:
            self._door.release(ticket)
            raise
        session.when_settled(lambda: self._door.release(ticket))
        return session

    async def _patch(self, request: web.Request) -> web.Response:
        _, session = self._find(request)
        condition = request.headers.get("If-Match")
        if condition is None:
            raise web.HTTPPreconditionRequired(text="If-Match is needed (RFC 9725, section 4.3.1).")
        if condition.strip() not in ("*", session.etag):
            raise web.HTTPPreconditionFailed(text="The ICE session has changed since.")
        remote = parse_fragment(await text_body(request, FRAGMENT))
        if remote is None or not session.restarts_ice(remote.ufrag):
            return web.Response(status=204)
        fragment = session.restart_ice()
        headers = {"ETag": session.etag}
        return web.Response(status=200, text=fragment, content_type=FRAGMENT, headers=headers)

    async def _delete(self, request: web.Request) -> web.Response:
        classroom, session = self._find(request)
        classroom.leave(session)
        return web.Response(status=200)

    async def _options(self, request: web.Request) -> web.Response:
        lesson_name(request)
        return web.Response(status=204, headers=_PREFLIGHT)

    def _find(self, request: web.Request) -> tuple[Classroom, Session]:
        classroom = self._registry.find(lesson_name(request))
        if classroom is not None:
            session = self._desks.of(classroom).find(request.match_info["session"])
            if session is not None and session.role is self.role:
                return classroom, session
        raise web.HTTPNotFound(text="There is no such session; it may have ended.")


def ice_links(server: IceServer) -> list[str]:
    """A STUN or TURN server as RFC 9725, section 4.6, tells clients of it."""
    proof = ""
    if server.username:
        proof = f'; username="{server.username}"; credential="{server.credential}"'
        proof += '; credential-type="password"'
    return [f'<{url}>; rel="ice-server"{proof}' for url in server.urls]


async def allow_cross_origin(request: web.Request, response: web.StreamResponse) -> None:
    """Let pages of any origin read every answer, refusals too (an `on_response_prepare` signal)."""
    if _PATHS.fullmatch(request.path):
        response.headers.update(_CORS)
