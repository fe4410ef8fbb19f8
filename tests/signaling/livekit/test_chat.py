"""Chat as LiveKit's clients send it, and what the journal has of it."""

from typing import Any

from livekit.protocol import models

from signaling.livekit.chat import MAX_TEXT, Chat

Header, Chunk, Trailer = (
    models.DataStream.Header,
    models.DataStream.Chunk,
    models.DataStream.Trailer,
)


class World:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.chat = Chat(lambda identity, text: self.said.append((identity, text)))

    def hear(self, identity: str = "ann", **value: Any) -> None:
        packet = models.DataPacket(participant_identity=identity, **value)
        self.chat.overhear(packet)

    def begin(self, stream: str = "1", topic: str = "chat", identity: str = "ann") -> None:
        header = Header(stream_id=stream, topic=topic, text_header=models.DataStream.TextHeader())
        self.hear(identity, stream_header=header)

    def chunk(self, index: int, content: bytes, stream: str = "1", identity: str = "ann") -> None:
        self.hear(
            identity, stream_chunk=Chunk(stream_id=stream, chunk_index=index, content=content)
        )

    def end(self, stream: str = "1", identity: str = "ann", reason: str = "") -> None:
        self.hear(identity, stream_trailer=Trailer(stream_id=stream, reason=reason))


def test_a_text_stream_is_one_message() -> None:
    world = World()
    whole = "今天讲分数".encode()
    for topic in ("chat", "lk.chat"):
        world.begin(topic=topic)
        world.chunk(1, whole[4:])  # a letter cut in two, and out of order
        world.chunk(0, whole[:4])
        world.end()
    assert world.said == [("ann", "今天讲分数")] * 2


def test_streams_of_two_people_may_have_one_name() -> None:
    world = World()
    for identity in ("ann", "bob"):
        world.begin(identity=identity)
        world.chunk(0, identity.encode(), identity=identity)
    world.end(identity="bob")
    world.end(identity="ann")
    assert world.said == [("bob", "bob"), ("ann", "ann")]


def test_short_text_may_stand_in_the_header() -> None:
    world = World()
    text = models.DataStream.TextHeader()
    header = Header(stream_id="1", topic="chat", text_header=text, inline_content=b" hello ")
    world.hear(stream_header=header)
    assert world.said == [("ann", "hello")]


def test_messages_of_older_clients() -> None:
    world = World()
    world.hear(chat_message=models.ChatMessage(message="hello"))
    world.hear(chat_message=models.ChatMessage(message="gone", deleted=True))
    world.hear(chat_message=models.ChatMessage(message="x" * (MAX_TEXT + 1)))
    assert world.said == [("ann", "hello")]


def test_what_is_no_chat_is_not_noted() -> None:
    world = World()
    world.begin(topic="files")
    world.chunk(0, b"x")
    world.end()
    world.hear(stream_header=Header(stream_id="2", topic="chat"))  # bytes, not text
    world.chunk(0, b"x", "2")
    world.end("2")
    world.begin("3")
    world.chunk(0, b"x", "3")
    world.end("3", reason="cancelled")
    world.begin("4")
    world.end("4")
    world.hear(user=models.UserPacket(payload=b"x", topic="chat"))
    assert world.said == []


def test_nothing_grows_without_end() -> None:
    world = World()
    world.begin("long")
    for index in range(200):
        world.chunk(index, b"x" * 100, "long")
    world.end("long")
    world.begin("empty")
    for index in range(20_000):
        world.chunk(index, b"", "empty")
    world.end("empty")
    for number in range(100):
        world.begin(str(number))
    for number in range(100):
        world.chunk(0, b"x", str(number))
        world.end(str(number))
    assert len(world.said) == 64
