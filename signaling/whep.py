"""WHEP (draft-ietf-wish-whep): the way in for a school."""

from sfu.negotiation import Offer
from signaling.auth import Permissions
from signaling.endpoint import Endpoint
from signaling.events import Role
from signaling.session import Session


class Whep(Endpoint):
    """`/{lesson}/whep`: whoever may subscribe watches, while there is something to see."""

    name = "whep"
    role = Role.SCHOOL

    def authorize(self, who: Permissions, lesson: str) -> None:
        """A token for the lesson is needed, and that there is a lesson."""
        who.require_subscribe(lesson)
        self._registry.require(lesson)

    def admit(self, who: Permissions, lesson: str, offer: Offer) -> Session:
        """Seat a school in the live lesson."""
        return self._desks.of(self._registry.require(lesson)).watch(who, offer)
