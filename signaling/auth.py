"""From a token to what it allows. LiveKit's grants, so that its token makers work with us.

A token is a JWT (RFC 7519), HS256: `iss` is the API key, `sub` the identity, `exp` is required,
and `video` holds the grants: `room, roomJoin, canPublish, canSubscribe, roomAdmin, roomList,
roomRecord`. An absent `canPublish` or `canSubscribe` means true. `attributes.site` names the place
whose line the bearer shares with others (`quality.sites` of the configuration).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jwt

from signaling.errors import NotAllowed, NotAuthenticated

_LEEWAY = 5  # seconds of clock difference between whoever makes tokens and us
_MAX_TOKEN = 4096  # characters


class TokenRole(StrEnum):
    """Whom `mint` makes tokens for."""

    TEACHER = "teacher"
    SCHOOL = "school"
    ARCHIVIST = "archivist"


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
    if len(token) > _MAX_TOKEN:
        raise NotAuthenticated("The token is too long.")
    try:
        secret = _secret(token, keys)
        claims = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            leeway=_LEEWAY,
            options={"require": ["exp", "sub"], "verify_aud": False},
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
    name = claims.get("name")
    attributes = claims.get("attributes")
    site = attributes.get("site") if isinstance(attributes, Mapping) else None
    return Permissions(
        identity=str(claims["sub"]),
        name=name if isinstance(name, str) else "",
        room=room if isinstance(room, str) and room else None,
        join=join,
        publish=join and grants.get("canPublish", True) is True,
        subscribe=join and grants.get("canSubscribe", True) is True,
        admin=grants.get("roomAdmin") is True,
        list_all=grants.get("roomList") is True,
        record=grants.get("roomRecord") is True,
        site=site if isinstance(site, str) else "",
    )


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
) -> str:
    """Make a token that is good for `ttl` seconds from `now` (Unix seconds).

    An archivist's token names no lesson; with `admin` it may also delete recordings.
    """
    grants: dict[str, object]
    if role is TokenRole.ARCHIVIST:
        grants = {"roomList": True, "roomAdmin": admin}
    else:
        grants = {
            "room": lesson,
            "roomJoin": True,
            "canPublish": role is TokenRole.TEACHER,
            "canSubscribe": True,
        }
    claims: dict[str, object] = {
        "iss": key,
        "sub": identity,
        "name": name,
        "nbf": int(now),
        "exp": int(now + ttl),
        "video": grants,
    }
    if site:
        claims["attributes"] = {"site": site}
    return jwt.encode(claims, secret, algorithm="HS256")
