"""From a token to what it allows. LiveKit's grants, so that its token makers work with us.

A token is a JWT (RFC 7519), HS256: `iss` is the API key, `sub` the identity, `exp` is required,
and `video` holds the grants: `room, roomJoin, roomCreate, roomList, roomAdmin, roomRecord,
canPublish, canPublishSources, canPublishData, canSubscribe, canUpdateOwnMetadata, hidden,
recorder`. An absent `canPublish`, `canPublishData` or `canSubscribe` means true; an empty
`canPublishSources` means all sources. `name`, `metadata` and `attributes` are shown to the others.
Two attributes mean something to us: `site`, the place whose line the bearer shares with others
(`quality.sites` of the configuration), and `role` (see `Permissions.role`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import jwt

from signaling.errors import NotAllowed, NotAuthenticated

_LEEWAY = 5  # seconds of clock difference between whoever makes tokens and us
MAX_TOKEN = 8192
"""Characters of a token: metadata travels in it."""
MAX_IDENTITY = 256
"""Characters of an identity."""

SOURCES: Mapping[str, str] = {
    "microphone": "microphone",
    "camera": "camera",
    "screen_share": "slides",
    "screen_share_audio": "slides_audio",
}
"""What `canPublishSources` calls a source, and what we call it."""


class TokenRole(StrEnum):
    """Whom `mint` makes tokens for."""

    TEACHER = "teacher"
    ASSISTANT = "assistant"
    SCHOOL = "school"
    OBSERVER = "observer"
    RECORDER = "recorder"
    ARCHIVIST = "archivist"


_PUBLISHING = (TokenRole.TEACHER, TokenRole.ASSISTANT)


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a verified token says."""

    identity: str
    name: str
    room: str | None
    """The lesson the token is for; None where it names none."""
    join: bool = False
    publish: bool = False
    subscribe: bool = False
    admin: bool = False
    list_all: bool = False
    record: bool = False
    site: str = ""
    """"" for none."""
    publish_sources: frozenset[str] = frozenset()
    """By our names; empty means all."""
    publish_data: bool = False
    update_own_metadata: bool = False
    hidden: bool = False
    recorder: bool = False
    create: bool = False
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    """The API key that signed it."""
    expires: float = 0.0
    """Unix seconds."""

    @property
    def role(self) -> str:
        """What the bearer is in a lesson: what `attributes.role` says, where the grants allow it.

        Without a role: a recorder, an observer (`hidden`), an assistant (may publish), a school.
        """
        named = self.attributes.get("role", "")
        if named in _PUBLISHING and self.publish and not self.hidden:
            return named
        if named == TokenRole.SCHOOL and not self.hidden and not self.recorder:
            return named
        if self.recorder:
            return TokenRole.RECORDER
        if self.hidden or named == TokenRole.OBSERVER:
            return TokenRole.OBSERVER
        return TokenRole.ASSISTANT if self.publish else TokenRole.SCHOOL

    def require_join(self, lesson: str) -> None:
        """Raise NotAllowed unless the token lets its bearer into this lesson."""
        self._require_join(lesson)

    def require_room_admin(self, lesson: str) -> None:
        """Raise NotAllowed unless the bearer administers this lesson."""
        if not self._administers(lesson):
            raise NotAllowed(f"This needs an administrator of lesson {lesson} (roomAdmin, room).")

    def require_create(self, lesson: str) -> None:
        """Raise NotAllowed unless the bearer may make or delete this lesson."""
        if not (self.create and self.room in (None, lesson)):
            raise NotAllowed("This token does not make or delete lessons (roomCreate).")

    def require_list(self) -> None:
        """Raise NotAllowed unless the bearer may see which lessons there are."""
        if not self.list_all:
            raise NotAllowed("This token does not list lessons (roomList).")

    def require_publish(self, lesson: str) -> None:
        """Raise NotAllowed unless the token lets its bearer teach this lesson."""
        self._require_join(lesson)
        if not self.publish:
            raise NotAllowed("This token does not allow teaching (canPublish).")

    def require_subscribe(self, lesson: str) -> None:
        """Raise NotAllowed unless the token lets its bearer watch this lesson."""
        self._require_join(lesson)
        if not self.subscribe:
            raise NotAllowed("This token does not allow watching (canSubscribe).")

    def require_end(self, lesson: str) -> None:
        """Raise NotAllowed unless the token lets its bearer end this lesson."""
        if not self._administers(lesson):
            self.require_publish(lesson)

    def require_edit(self, lesson: str | None) -> None:
        """Raise NotAllowed unless the bearer may say what a recording of this lesson is about."""
        teaches = self.role == TokenRole.TEACHER and self._joins(lesson)
        if not (teaches or self._administers(lesson)):
            raise NotAllowed("This needs the lesson's teacher, or an administrator (roomAdmin).")

    def require_admin(self) -> None:
        """Raise NotAllowed unless this is an administrator of every lesson."""
        if not self.admin or self.room is not None:
            raise NotAllowed("This needs an administrator's token (roomAdmin).")

    def may_see_archive(self, lesson: str | None) -> bool:
        """Whether the bearer may see recordings of this lesson; None asks for all lessons."""
        return self.list_all or self._administers(lesson) or self._joins(lesson)

    def _administers(self, lesson: str | None) -> bool:
        return self.admin and self.room in (None, lesson)

    def _joins(self, lesson: str | None) -> bool:
        return self.join and self.room is not None and self.room == lesson

    def _require_join(self, lesson: str) -> None:
        if not self._joins(lesson):
            raise NotAllowed(f"This token is not for lesson {lesson} (roomJoin, room).")


def verify(token: str | None, keys: Mapping[str, str]) -> Permissions:
    """Check a token's signature and dates. Raises NotAuthenticated."""
    if not token:
        raise NotAuthenticated("A token is needed: Authorization: Bearer <token>.")
    if len(token) > MAX_TOKEN:
        raise NotAuthenticated("The token is too long.")
    try:
        secret = _secret(token, keys)
        claims = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            leeway=_LEEWAY,
            options={"require": ["exp"], "verify_aud": False},
        )
    except jwt.ExpiredSignatureError:
        raise NotAuthenticated("The token has expired.") from None
    except jwt.ImmatureSignatureError:
        raise NotAuthenticated("The token is not valid yet.") from None
    except jwt.InvalidSignatureError:
        raise NotAuthenticated("The token is not signed by a key of this node.") from None
    except (jwt.PyJWTError, ValueError, TypeError):
        raise NotAuthenticated("The token is malformed.") from None
    if keys.get(str(claims.get("iss"))) != secret:
        raise NotAuthenticated("The token is not signed by a key of this node.")
    return _permissions(claims)


def _secret(token: str, keys: Mapping[str, str]) -> str:
    """The secret that would prove the token: by its issuer, where there are several."""
    if len(keys) == 1:
        return next(iter(keys.values()))
    issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    secret = keys.get(issuer) if isinstance(issuer, str) else None
    if secret is None:
        raise NotAuthenticated("The token is not signed by a key of this node.")
    return secret


def _permissions(claims: Mapping[str, Any]) -> Permissions:
    grants = claims.get("video")
    grants = grants if isinstance(grants, Mapping) else {}
    join = grants.get("roomJoin") is True
    room = grants.get("room")
    attributes = _attributes(claims.get("attributes"))
    return Permissions(
        identity=_identity(claims, join=join),
        name=_text(claims.get("name")),
        room=room if isinstance(room, str) and room else None,
        join=join,
        publish=join and grants.get("canPublish", True) is True,
        subscribe=join and grants.get("canSubscribe", True) is True,
        admin=grants.get("roomAdmin") is True,
        list_all=grants.get("roomList") is True,
        record=grants.get("roomRecord") is True,
        site=attributes.get("site", ""),
        publish_sources=_sources(grants.get("canPublishSources")),
        publish_data=join and grants.get("canPublishData", True) is True,
        update_own_metadata=join and grants.get("canUpdateOwnMetadata") is True,
        hidden=grants.get("hidden") is True,
        recorder=grants.get("recorder") is True,
        create=grants.get("roomCreate") is True,
        metadata=_text(claims.get("metadata")),
        attributes=attributes,
        key=_text(claims.get("iss")),
        expires=float(claims["exp"]),
    )


def _identity(claims: Mapping[str, Any], *, join: bool) -> str:
    """Who it is: needed in a lesson; a server that calls the room API is its key."""
    identity = claims.get("sub")
    if isinstance(identity, str) and 0 < len(identity) <= MAX_IDENTITY:
        return identity
    if join or identity:
        raise NotAuthenticated("The token is malformed: it names no identity (sub).")
    return _text(claims.get("iss"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _attributes(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {str(key): text for key, text in value.items() if isinstance(text, str)}


def _sources(value: object) -> frozenset[str]:
    """What a list of sources allows; one that names nothing we know allows what it says: nothing
    of ours, so it is kept as it is."""
    if not isinstance(value, list):
        return frozenset()
    return frozenset(SOURCES.get(str(name).lower(), str(name)) for name in value)


def mint(
    key: str,
    secret: str,
    *,
    role: TokenRole,
    identity: str,
    name: str,
    lesson: str | None,
    ttl: float,
    now: float,
    admin: bool = False,
    site: str = "",
    metadata: str = "",
    attributes: Mapping[str, str] = {},
    grants: Mapping[str, object] = {},
) -> str:
    """Make a token that is good for `ttl` seconds from `now` (Unix seconds).

    An archivist's token names no lesson; with `admin` it may also delete recordings. `grants`
    are added to those of the role, in the names of the token, and win over them.
    """
    claims: dict[str, object] = {
        "iss": key,
        "sub": identity,
        "name": name,
        "nbf": int(now),
        "exp": int(now + ttl),
        "video": {**_grants_of(role, lesson, admin=admin), **grants},
    }
    if metadata:
        claims["metadata"] = metadata
    own = {"site": site} if site else {}
    if role in _PUBLISHING:
        own["role"] = str(role)
    if own or attributes:
        claims["attributes"] = {**own, **attributes}
    return jwt.encode(claims, secret, algorithm="HS256")


def _grants_of(role: TokenRole, lesson: str | None, *, admin: bool) -> dict[str, object]:
    if role is TokenRole.ARCHIVIST:
        return {"roomList": True, "roomAdmin": admin}
    grants: dict[str, object] = {
        "room": lesson,
        "roomJoin": True,
        "canPublish": role in _PUBLISHING,
        "canSubscribe": True,
    }
    if role is TokenRole.OBSERVER:
        grants |= {"hidden": True, "canPublishData": False}
    if role is TokenRole.RECORDER:
        grants |= {"hidden": True, "recorder": True, "canPublishData": False}
    return grants
