"""Hands and the floor over HTTP, for clients without LiveKit's RPC, and for a school's software.

    GET    /api/lessons/{lesson}/floor              who has it, who asks
    POST   /api/lessons/{lesson}/floor              give it: {"identity": "..."}
    DELETE /api/lessons/{lesson}/floor              take it, or give it back
    POST   /api/lessons/{lesson}/hands              raise one's hand
    DELETE /api/lessons/{lesson}/hands/{identity}   lower it

Each answers with the floor as it is now, in the words of `Floor.told`, which LiveKit's clients read
in the room's metadata: `{"floor": identity or null, "hands": [identities]}`. A school that has it
may publish by WHIP as well. Who a member is, its token says: the identity has a seat in the lesson,
by whatever protocol.
"""

from collections.abc import Mapping

from aiohttp import web

from signaling.auth import Permissions
from signaling.classroom import Classroom
from signaling.edge import json_body, lesson_name, permissions
from signaling.errors import NotAllowed
from signaling.events import STAFF, Event, GrantFloor, LowerHand, RaiseHand, RevokeFloor
from signaling.registry import Registry


class FloorApi:
    """The handlers."""

    def __init__(self, registry: Registry, keys: Mapping[str, str]) -> None:
        self._registry = registry
        self._keys = keys

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to an application."""
        floor, hands = "/api/lessons/{lesson}/floor", "/api/lessons/{lesson}/hands"
        return [
            web.get(floor, self._show),
            web.post(floor, self._grant),
            web.delete(floor, self._revoke),
            web.post(hands, self._raise),
            web.delete(hands + "/{identity}", self._lower),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        classroom, who = self._find(request)
        if not who.may_see_archive(classroom.lesson.name):
            raise NotAllowed("This token is not for this lesson.")
        return _state(classroom)

    async def _grant(self, request: web.Request) -> web.Response:
        classroom, who = self._find(request)
        _require_staff(who, classroom.lesson.name)
        identity = (await json_body(request)).get("identity")
        if not isinstance(identity, str):
            raise web.HTTPBadRequest(text="identity must name a member of the lesson.")
        return _carry_out(classroom, GrantFloor(None, _seat(classroom, identity)))

    async def _revoke(self, request: web.Request) -> web.Response:
        classroom, who = self._find(request)
        holder = classroom.lesson.floor.holder
        if holder is not None and classroom.lesson.members[holder].identity == who.identity:
            who.require_join(classroom.lesson.name)
        else:
            _require_staff(who, classroom.lesson.name)
        return _carry_out(classroom, RevokeFloor(None))

    async def _raise(self, request: web.Request) -> web.Response:
        classroom, who = self._find(request)
        who.require_join(classroom.lesson.name)
        return _carry_out(classroom, RaiseHand(_seat(classroom, who.identity)))

    async def _lower(self, request: web.Request) -> web.Response:
        classroom, who = self._find(request)
        identity = request.match_info["identity"]
        if identity == who.identity:
            who.require_join(classroom.lesson.name)
        else:
            _require_staff(who, classroom.lesson.name)
        return _carry_out(classroom, LowerHand(None, _seat(classroom, identity)))

    def _find(self, request: web.Request) -> tuple[Classroom, Permissions]:
        who = permissions(request, self._keys)
        classroom = self._registry.find(lesson_name(request))
        if classroom is None:
            raise web.HTTPNotFound(text="This lesson is not live.")
        return classroom, who


def _require_staff(who: Permissions, lesson: str) -> None:
    """Raise NotAllowed unless this is a teacher's, an assistant's or an administrator's token."""
    if who.role in STAFF:
        who.require_end(lesson)
    else:
        who.require_room_admin(lesson)


def _seat(classroom: Classroom, identity: str) -> str:
    """The member's newest seat."""
    seats = classroom.lesson.sessions_of(identity)
    if not seats:
        raise web.HTTPNotFound(text="This identity has no seat in the lesson.")
    return seats[-1]


def _carry_out(classroom: Classroom, event: Event) -> web.Response:
    classroom.handle(event)
    return _state(classroom)


def _state(classroom: Classroom) -> web.Response:
    lesson = classroom.lesson
    return web.json_response(lesson.floor.told(lesson.members))
