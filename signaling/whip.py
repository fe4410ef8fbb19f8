"""WHIP (RFC 9725): the way in for a teacher, and for a school that has the floor."""

from sfu.negotiation import Offer
from signaling.auth import Permissions
from signaling.endpoint import Endpoint
from signaling.events import Role
from signaling.session import Session


class Whip(Endpoint):
    """`/{lesson}/whip`: whoever may publish teaches, and the lesson opens; a school without that
    right speaks while it has the floor."""

    name = "whip"
    role = Role.TEACHER

    def authorize(self, who: Permissions, lesson: str) -> None:
        """A teacher's token is needed, or the floor."""
        live = self._registry.find(lesson)
        if live is not None and self._desks.of(live).has_floor(who):
            who.require_join(lesson)
        else:
            who.require_publish(lesson)

    def admit(self, who: Permissions, lesson: str, offer: Offer) -> Session:
        """Open the lesson if need be, and seat its teacher; or let a school speak."""
        if not who.publish:
            return self._desks.of(self._registry.require(lesson)).speak(who, offer)
        if live := self._registry.find(lesson):
            self._desks.of(live).retire_silent_teacher()  # which may end it
        classroom = self._registry.open(lesson)
        try:
            return self._desks.of(classroom).teach(who, offer)
        finally:
            self._registry.drop_if_unused(classroom)
