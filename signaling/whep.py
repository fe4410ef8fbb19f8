"""WHEP (draft-ietf-wish-whep): the way in for a school."""

from aiohttp import web

from sfu.negotiation import Offer
from signaling.auth import Permissions
from signaling.edge import json_body, lesson_name
from signaling.endpoint import Endpoint
from signaling.events import Role
from signaling.layers import RELATION, choose, offered
from signaling.session import Session


class Whep(Endpoint):
    """`/{lesson}/whep`: whoever may subscribe watches, while there is something to see."""

    name = "whep"
    role = Role.SCHOOL

    def routes(self) -> list[web.RouteDef]:
        """Those of the protocol, and the viewer's choice of quality."""
        layers = f"/{{lesson}}/{self.name}/{{session}}/layers"
        return [
            *super().routes(),
            web.get(layers, self._offered),
            web.post(layers, self._choose),
            web.options(layers, self._layer_options),
        ]

    def authorize(self, who: Permissions, lesson: str) -> None:
        """A token for the lesson is needed, and that there is a lesson."""
        who.require_subscribe(lesson)
        self._registry.require(lesson)

    def admit(self, who: Permissions, lesson: str, offer: Offer) -> Session:
        """Seat a school in the live lesson."""
        return self._desks.of(self._registry.require(lesson)).watch(who, offer)

    def links(self, session: Session, location: str) -> list[str]:
        """Where a viewer with a picture chooses its quality."""
        return [f'<{location}/layers>; rel="{RELATION}"'] if session.pictures else []

    async def _offered(self, request: web.Request) -> web.Response:
        classroom, session = self._find(request)
        return web.json_response(offered(classroom, session), headers=_FRESH)

    async def _choose(self, request: web.Request) -> web.Response:
        classroom, session = self._find(request)
        choice = choose(classroom, session, await json_body(request))
        classroom.delivery.cap(session.id, choice.downtrack, choice.cap)
        return web.json_response(offered(classroom, session), headers=_FRESH)

    async def _layer_options(self, request: web.Request) -> web.Response:
        lesson_name(request)
        return web.Response(status=204, headers=_PREFLIGHT)


_FRESH = {"Cache-Control": "no-store"}
_PREFLIGHT = {
    "Accept-Post": "application/json",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "86400",
}
