"""Chat among the data of LiveKit's clients, read for the lesson's journal. Pure.

Three forms of it are in use: text streams of the topic `lk.chat`, whole in their header (perhaps
deflated) or in chunks; the packet `chat_message`; and JSON in a packet of the topic
`lk-chat-topic`, which who sends streams as well marks as a copy. What is encrypted from end to end
is not for us to read.
"""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from livekit.protocol import models

from signaling.chat import MAX_TEXT, Chat

TOPIC, OLD_TOPIC = "lk.chat", "lk-chat-topic"
MAX_BYTES = 4 * MAX_TEXT
"""Of one text, as it is sent and as it is read."""
MAX_OPEN = 64
"""Streams of a lesson that have begun and not ended; the oldest is forgotten for another."""
_RAW_DEFLATE = -15
"""zlib's name for its largest window without a header."""


@dataclass(slots=True)
class _Stream:
    inflate: bool
    edited: bool
    content: bytearray


class ChatReader:
    """Hears the packets that one lesson's participants send to everybody."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._streams: dict[tuple[str, str], _Stream] = {}  # by session and stream

    def heard(self, session: str, packet: models.DataPacket) -> None:
        """A participant's packet, to all others."""
        kind = packet.WhichOneof("value")
        if kind in _READERS:
            _READERS[kind](self, session, getattr(packet, kind))

    # --- text streams

    def _header(self, session: str, header: models.DataStream.Header) -> None:
        if header.topic != TOPIC or header.WhichOneof("content_header") != "text_header":
            return
        if header.encryption_type != models.Encryption.NONE:
            return
        stream = _Stream(
            header.compression == models.DataStream.DEFLATE_RAW,
            header.text_header.operation_type == models.DataStream.UPDATE,
            bytearray(header.inline_content[:MAX_BYTES]),
        )
        if header.HasField("inline_content"):
            self._say(session, header.stream_id, stream)
            return
        while len(self._streams) >= MAX_OPEN:
            del self._streams[next(iter(self._streams))]
        self._streams[session, header.stream_id] = stream

    def _chunk(self, session: str, chunk: models.DataStream.Chunk) -> None:
        stream = self._streams.get((session, chunk.stream_id))
        if stream is not None:
            stream.content += chunk.content[: MAX_BYTES - len(stream.content)]

    def _trailer(self, session: str, trailer: models.DataStream.Trailer) -> None:
        stream = self._streams.pop((session, trailer.stream_id), None)
        if stream is not None and not trailer.reason:  # a reason says that it broke off
            self._say(session, trailer.stream_id, stream)

    def _say(self, session: str, name: str, stream: _Stream) -> None:
        raw = _inflated(stream.content) if stream.inflate else bytes(stream.content)
        text = raw.decode("utf-8", "ignore")  # a bound may have cut a letter in two
        self._chat.said(session, text, message=name, edited=stream.edited)

    # --- single packets

    def _message(self, session: str, said: models.ChatMessage) -> None:
        edited = said.deleted or bool(said.edit_timestamp)
        text = "" if said.deleted else said.message
        self._chat.said(session, text, message=said.id, edited=edited)

    def _user(self, session: str, packet: models.UserPacket) -> None:
        if packet.topic != OLD_TOPIC or len(packet.payload) > MAX_BYTES:
            return
        try:
            said = json.loads(packet.payload)
        except (ValueError, RecursionError):
            return
        if isinstance(said, dict) and not said.get("ignoreLegacy"):
            text, name = said.get("message"), said.get("id")
            if isinstance(text, str):
                self._chat.said(session, text, message=name if isinstance(name, str) else "")


_READERS: dict[str, Callable[[ChatReader, str, Any], None]] = {
    "stream_header": ChatReader._header,
    "stream_chunk": ChatReader._chunk,
    "stream_trailer": ChatReader._trailer,
    "chat_message": ChatReader._message,
    "user": ChatReader._user,
}


def _inflated(packed: bytes | bytearray) -> bytes:
    """At most `MAX_BYTES`, whatever the compressed ones promise; b"" for what is none of it."""
    try:
        return zlib.decompressobj(_RAW_DEFLATE).decompress(packed, MAX_BYTES)
    except zlib.error:
        return b""
