"""JSON Web Tokens signed with HS256 (RFC 7515, RFC 7519), the only kind this node makes or takes.

A third of what PyJWT needs for the same, which a class that joins at once would wait for; the
tests hold both against each other.
"""

import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_COMPACT = re.compile(r"([\w-]+)\.([\w-]+)\.([\w-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it came: nothing of it is true before `signed_by` says so."""

    claims: Mapping[str, Any]
    _signed: bytes
    _signature: bytes

    def signed_by(self, secret: str) -> bool:
        """Whether this secret made it."""
        return hmac.compare_digest(_mac(self._signed, secret), self._signature)


def read(text: str) -> Token:
    """Take a compact token apart. Raises ValueError for everything that is not HS256."""
    match = _COMPACT.fullmatch(text)
    if match is None:
        raise ValueError("not three parts in base64url")
    header, claims = _object(match[1]), _object(match[2])
    if header.get("alg") != "HS256" or "crit" in header:  # RFC 7515, section 4.1.11
        raise ValueError("not HS256 as we know it")
    return Token(claims, text.rpartition(".")[0].encode(), _decode(match[3]))


def sign(claims: Mapping[str, Any], secret: str) -> str:
    """Make a compact token."""
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    signed = b".".join(_encode(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
    return (signed + b"." + _encode(_mac(signed, secret))).decode()


def _mac(signed: bytes, secret: str) -> bytes:
    return hmac.digest(secret.encode(), signed, "sha256")


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_decode(part))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _decode(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _encode(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
