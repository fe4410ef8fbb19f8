"""From what a token says to what a member may do, for every adapter the same. Pure."""

from signaling.auth import Permissions
from signaling.events import NOTHING, SOURCES, Grants


def grants_of(who: Permissions) -> Grants:
    """What the bearer may do in its lesson at most."""
    return Grants(
        publish=(who.publish_sources or SOURCES) if who.publish else NOTHING,
        subscribe=who.subscribe,
        data=who.publish_data,
        metadata=who.update_own_metadata,
        hidden=who.hidden,
    )
