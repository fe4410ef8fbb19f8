"""A media URL that somebody names, and which of them this node connects to. Pure.

Whoever may name a URL can make the node connect to it, so that a host must be one that the operator
allows. Names are compared as they are written, before anything is looked up: a network allows
addresses, not names that lead into it.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_URL = 2_048
"""Characters."""

PULLED = ("rtsp", "rtsps", "rtmp", "rtmps", "srt")
PUSHED = ("rtmp", "rtmps", "srt")

_PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"[a-z0-9._:-]+")
_PATTERN = re.compile(r"(\*\.)?[a-z0-9._:-]+(/\d{1,3})?")


@dataclass(frozen=True, slots=True, repr=False)
class MediaUrl:
    """A URL with a scheme and a host that make sense. It may hold a password: show `shown`."""

    text: str
    scheme: str
    host: str
    """In lower case; "" for a file."""
    shown: str
    """Without user, password, key and query."""

    def __repr__(self) -> str:
        return f"MediaUrl({self.shown!r})"


def parse(text: object, schemes: Sequence[str]) -> MediaUrl:
    """Take a URL apart. Raises ValueError, whose sentence repeats nothing of it."""
    if not isinstance(text, str) or len(text) > MAX_URL or not _PRINTABLE.fullmatch(text):
        raise ValueError(f"is not a URL of at most {MAX_URL} printable characters")
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ValueError("is not a URL with a host and a port that make sense") from None
    scheme = parts.scheme.lower()
    if scheme not in schemes or not text.startswith(f"{scheme}://"):
        raise ValueError(f"must begin with {', '.join(f'{one}://' for one in schemes)}")
    if scheme == "file":
        if host or not parts.path.startswith("/"):
            raise ValueError("must name a file as file:///the/whole/path")
        return MediaUrl(text, scheme, "", f"file:{parts.path}")
    if not _HOST.fullmatch(host):
        raise ValueError("must name a host")
    if scheme == "srt" and not port:
        raise ValueError("must name a port: srt://HOST:PORT")
    return MediaUrl(text, scheme, host, _shown(scheme, host, port, parts.path))


def pattern(text: str) -> str:
    """One entry of an allow-list: a host, "*.example.org", an address or a network.

    Raises ValueError.
    """
    lower = text.lower()
    if not _PATTERN.fullmatch(lower):
        raise ValueError("is no host, *.domain, address or network")
    if "/" in lower:
        try:
            return str(ipaddress.ip_network(lower))
        except ValueError:
            raise ValueError("is no network such as 192.168.1.0/24") from None
    return lower


def allowed(url: MediaUrl, patterns: Sequence[str]) -> bool:
    """Whether an allow-list, of what `pattern` gave, has the URL's host."""
    return any(_matches(url.host, one) for one in patterns)


def _matches(host: str, one: str) -> bool:
    if one.startswith("*."):
        return host.endswith(one[1:]) and len(host) >= len(one)
    if "/" not in one:
        return host == one
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(one)
    except ValueError:
        return False


def _shown(scheme: str, host: str, port: int | None, path: str) -> str:
    place = f"[{host}]" if ":" in host else host
    if port and port != _PORTS.get(scheme):
        place = f"{place}:{port}"
    if scheme in ("rtmp", "rtmps"):  # the last part is the key
        path = path.rpartition("/")[0] + "/…" if path.strip("/") else ""
    elif scheme == "srt":
        path = ""
    return f"{scheme}://{place}{path}"
