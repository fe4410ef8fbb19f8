"""Tokens for who is in a lesson already: its client may come back with one when the token that it
came with has expired. Pure.

A renewed token says what its bearer is and may do now, by authority's last word, and never more
than the lesson allows it; the floor is not in it, for that is not the bearer's to take along.
"""

from collections.abc import Mapping
from dataclasses import replace

import jwt

from signaling.auth import MAX_TOKEN, SOURCES, Permissions
from signaling.events import SOURCES as ALL_SOURCES
from signaling.events import Member

RENEW_EVERY = 300.0
"""Seconds between tokens."""
LIFETIME = 600.0
"""Seconds for which one is good at least; one that is good for longer is not cut short."""

_THEIRS = {ours: theirs for theirs, ours in SOURCES.items()}
_OURS = frozenset({"role", "site"})
"""Attributes that mean something to us: a member must not give them to itself."""


def renewed(who: Permissions, member: Member, secret: str, now: float) -> str:
    """A token for whoever came as `who` and is `member` now; `now` in Unix seconds.

    What is said of a member may be more than a token can carry: then it says what it said before.
    """
    own = {key: text for key, text in member.attributes.items() if key not in _OURS}
    token = _made(who, member, secret, now, member.metadata, own)
    if len(token) <= MAX_TOKEN:
        return token
    before = {key: text for key, text in who.attributes.items() if key not in _OURS}
    return _made(who, member, secret, now, who.metadata, before)


def _made(
    who: Permissions,
    member: Member,
    secret: str,
    now: float,
    metadata: str,
    attributes: Mapping[str, str],
) -> str:
    claims: dict[str, object] = {
        "iss": who.key,
        "sub": member.identity,
        "name": member.name,
        "nbf": int(now),
        "exp": int(max(who.expires, now + LIFETIME)),
        "video": _grants(who, member),
    }
    if metadata:
        claims["metadata"] = metadata
    said = {**attributes, **({"site": who.site} if who.site else {})}
    grants = member.grants
    plain = replace(who, publish=bool(grants.publish), hidden=grants.hidden, attributes=said)
    if plain.role != member.role or "role" in who.attributes:
        said["role"] = str(member.role)
    if said:
        claims["attributes"] = said
    return jwt.encode(claims, secret, algorithm="HS256")


def _grants(who: Permissions, member: Member) -> dict[str, object]:
    grants = member.grants
    said: dict[str, object] = {
        "room": who.room,
        "roomJoin": True,
        "canPublish": bool(grants.publish),
        "canPublishData": grants.data,
        "canSubscribe": grants.subscribe,
    }
    if grants.publish and grants.publish != ALL_SOURCES:
        said["canPublishSources"] = sorted(_THEIRS.get(name, name) for name in grants.publish)
    more = {
        "canUpdateOwnMetadata": grants.metadata,
        "hidden": grants.hidden,
        "recorder": who.recorder,
        "roomAdmin": who.admin,
        "roomList": who.list_all,
        "roomRecord": who.record,
        "roomCreate": who.create,
    }
    return said | {name: True for name, granted in more.items() if granted}
