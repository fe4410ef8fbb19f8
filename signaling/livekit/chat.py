"""What is written in a lesson for all to read, for its journal: overheard, never held up. Pure.

Chat comes as text streams of the topic "chat" (our pages) or "lk.chat" (LiveKit's components), or
as chat messages of LiveKit's older clients. What is longer than 10,000 bytes, names whom it is for,
is encrypted, or breaks off, is not chat for us.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from livekit.protocol import models

TOPICS = frozenset({"chat", "lk.chat"})
MAX_TEXT = 10_000
"""Bytes of a message."""
_MAX_OPEN = 64
"""Streams under way in a lesson; beyond, the oldest is forgotten."""

Said = Callable[[str, str], None]
"""Hears an identity and what it wrote."""


@dataclass(slots=True)
class _Stream:
    identity: str
    parts: dict[int, bytes] = field(default_factory=dict)
    size: int = 0


class Chat:
    """Puts the chat of one lesson together."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self._streams: dict[tuple[str, str], _Stream] = {}

    def overhear(self, packet: models.DataPacket) -> None:
        """A packet that goes to all, with its sender stamped on it."""
        identity = packet.participant_identity
        match packet.WhichOneof("value"):
            case "chat_message":
                message = packet.chat_message
                if not message.deleted and len(message.message.encode()) <= MAX_TEXT:
                    self._say(identity, message.message)
            case "stream_header":
                self._begin(identity, packet.stream_header)
            case "stream_chunk":
                self._continue(identity, packet.stream_chunk)
            case "stream_trailer":
                self._end(identity, packet.stream_trailer)

    def _begin(self, identity: str, header: models.DataStream.Header) -> None:
        if header.topic not in TOPICS or not header.HasField("text_header") or header.compression:
            return
        if header.inline_content:
            if len(header.inline_content) <= MAX_TEXT:
                self._say(identity, header.inline_content.decode(errors="replace"))
            return
        while len(self._streams) >= _MAX_OPEN:
            del self._streams[next(iter(self._streams))]
        self._streams[identity, header.stream_id] = _Stream(identity)

    def _continue(self, identity: str, chunk: models.DataStream.Chunk) -> None:
        key = identity, chunk.stream_id
        stream = self._streams.get(key)
        if stream is None:
            return
        stream.size += len(chunk.content) + 1  # empty ones count, too
        stream.parts[chunk.chunk_index] = chunk.content
        if stream.size > MAX_TEXT:
            del self._streams[key]

    def _end(self, identity: str, trailer: models.DataStream.Trailer) -> None:
        stream = self._streams.pop((identity, trailer.stream_id), None)
        if stream is None or trailer.reason:
            return
        whole = b"".join(content for _, content in sorted(stream.parts.items()))
        self._say(identity, whole.decode(errors="replace"))

    def _say(self, identity: str, text: str) -> None:
        if text := text.strip():
            self._said(identity, text)
