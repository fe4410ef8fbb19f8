"""What a client asks for when it joins: from the query of the WebSocket's URL. Pure.

`/rtc/v1` carries one parameter, a `JoinRequest` in base64 that may be compressed; `/rtc` carries a
parameter for each wish.
"""

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from livekit.protocol import rtc

from signaling.livekit.errors import MalformedRequest

MAX_JOIN = 256 * 1024
"""Bytes of a JoinRequest: an offer is most of it."""
_MAX_WORD = 256
_GZIP = 31
"""zlib's name for its largest window with gzip's header."""
_TRUE = frozenset({"1", "true"})


@dataclass(frozen=True, slots=True)
class Joining:
    """One client's wishes."""

    single: bool
    """One connection for both directions, on which the client offers; else two."""
    auto_subscribe: bool = True
    client_protocol: int = 0
    resumes: bool = False
    """It was here before (`participant_sid`), and its media may still flow."""
    participant_sid: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    offer: rtc.SessionDescription | None = None
    add_tracks: tuple[rtc.AddTrackRequest, ...] = ()
    sync_state: rtc.SyncState | None = None


def parse_join(query: Mapping[str, str], *, single: bool) -> Joining:
    """Read a URL's query. Raises MalformedRequest."""
    if "join_request" in query:
        return _from_request(_join_request(query["join_request"]), single=single)
    if single:
        raise MalformedRequest("The join_request is missing from the URL.")
    return Joining(
        single=False,
        auto_subscribe=query.get("auto_subscribe", "1") in _TRUE,
        client_protocol=_number(query.get("client_protocol", "0")),
        resumes=query.get("reconnect", "0") in _TRUE,
        participant_sid=query.get("sid", "")[:_MAX_WORD],
    )


def _from_request(request: rtc.JoinRequest, *, single: bool) -> Joining:
    return Joining(
        single=single,
        auto_subscribe=request.connection_settings.auto_subscribe,
        client_protocol=request.client_info.client_protocol,
        resumes=request.reconnect,
        participant_sid=request.participant_sid[:_MAX_WORD],
        metadata=request.metadata,
        attributes=dict(request.participant_attributes),
        offer=request.publisher_offer if request.HasField("publisher_offer") else None,
        add_tracks=tuple(request.add_track_requests),
        sync_state=request.sync_state if request.HasField("sync_state") else None,
    )


def _join_request(text: str) -> rtc.JoinRequest:
    try:
        wrapped = rtc.WrappedJoinRequest.FromString(_base64(text))
        raw = wrapped.join_request
        if wrapped.compression == rtc.WrappedJoinRequest.GZIP:
            raw = _inflate(raw)
        return rtc.JoinRequest.FromString(raw)
    except (DecodeError, ValueError, zlib.error):
        raise MalformedRequest("The join_request in the URL is malformed.") from None


def _base64(text: str) -> bytes:
    """Both alphabets are met, with and without padding."""
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _inflate(packed: bytes) -> bytes:
    """At most `MAX_JOIN` bytes, whatever the compressed ones promise."""
    inflater = zlib.decompressobj(_GZIP)
    raw = inflater.decompress(packed, MAX_JOIN)
    if inflater.unconsumed_tail:
        raise MalformedRequest(f"The join_request is larger than {MAX_JOIN // 1024} KiB.")
    return raw


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0
