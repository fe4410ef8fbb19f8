"""Whom a publisher lets take its tracks: `subscription_permission` in the words of the house."""

from livekit.protocol import rtc

from signaling.events import Audience
from signaling.livekit.presence import Presence

_MAX_NAMED = 1_000


def audience(request: rtc.SubscriptionPermission, presence: Presence) -> Audience:
    """Participants are named by identity, or by sid by older clients."""
    if request.all_participants:
        return Audience()
    identities: dict[str, frozenset[int] | None] = {}
    by_sid = {info.sid: info.identity for info in presence.everybody()}
    for named in request.track_permissions[:_MAX_NAMED]:
        identity = named.participant_identity or by_sid.get(named.participant_sid, "")
        found = [presence.publication(sid) for sid in named.track_sids]
        numbers = frozenset(p.number for p in found if p is not None)
        identities[identity] = None if named.all_tracks else numbers
    return Audience(everybody=False, identities=identities)
