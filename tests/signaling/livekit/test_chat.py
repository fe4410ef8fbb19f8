"""The forms in which LiveKit's clients write to each other."""

import json
import zlib
from typing import Any

import pytest
from livekit.protocol import models

from signaling.chat import MAX_TEXT, Chat
from signaling.events import Said
from signaling.livekit.chat import MAX_OPEN, OLD_TOPIC, TOPIC, ChatReader
from signaling.livekit.data import RELIABLE
from signaling.livekit.rooms import Rooms
from tests.signaling.conftest import House

Header = models.DataStream.Header
Chunk = models.DataStream.Chunk
Trailer = models.DataStream.Trailer
TEXT = models.DataStream.TextHeader


class World:
    def __init__(self) -> None:
        self.kept: list[Said] = []
        self.now = 0.0
        self.reader = ChatReader(Chat(self.kept.append, lambda: self.now))

    def says(self, who: str = "ann", **packet: Any) -> None:
        self.now += 1  # nobody is too quick here
        raw = models.DataPacket(**packet).SerializeToString()
        self.reader.heard(who, models.DataPacket.FromString(raw))

    def streams(self, *chunks: bytes, name: str = "m", who: str = "ann", **header: Any) -> None:
        wish = {"topic": TOPIC, "text_header": TEXT(), **header}
        self.says(who, stream_header=Header(stream_id=name, **wish))
        for number, content in enumerate(chunks):
            self.says(who, stream_chunk=Chunk(stream_id=name, chunk_index=number, content=content))

    def ends(self, name: str = "m", who: str = "ann", **more: Any) -> None:
        self.says(who, stream_trailer=Trailer(stream_id=name, **more))

    @property
    def texts(self) -> list[str]:
        return [said.text for said in self.kept]


@pytest.fixture
def world() -> World:
    return World()


def deflated(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(text) + packer.flush()


def test_a_stream_in_chunks(world: World) -> None:
    whole = "你好, everybody".encode()
    world.streams(whole[:4], whole[4:])
    assert world.kept == []
    world.ends()
    assert world.kept == [Said("ann", "你好, everybody", "m")]


def test_a_stream_in_its_header(world: World) -> None:
    world.streams(inline_content=b"short")
    world.streams(inline_content=deflated(b"long " * 50), compression=models.DataStream.DEFLATE_RAW)
    assert world.texts == ["short", "long " * 50]


def test_a_deflated_stream_in_chunks(world: World) -> None:
    packed = deflated(b"again and again " * 40)
    world.streams(packed[:10], packed[10:], compression=models.DataStream.DEFLATE_RAW)
    world.ends()
    assert world.texts == ["again and again " * 40]


def test_two_write_at_once_under_one_name(world: World) -> None:
    world.streams(b"from ann", who="ann")
    world.streams(b"from bob", who="bob")
    world.ends(who="bob")
    world.ends(who="ann")
    assert [(said.session, said.text) for said in world.kept] == [
        ("bob", "from bob"),
        ("ann", "from ann"),
    ]


def test_an_edited_text_says_so(world: World) -> None:
    world.streams(b"better", text_header=TEXT(operation_type=models.DataStream.UPDATE))
    world.ends()
    world.says(chat_message=models.ChatMessage(id="c", message="one", timestamp=1))
    world.says(chat_message=models.ChatMessage(id="c", message="two", edit_timestamp=2))
    world.says(chat_message=models.ChatMessage(id="c", message="two", deleted=True))
    assert [(said.message, said.text, said.edited) for said in world.kept] == [
        ("m", "better", True),
        ("c", "one", False),
        ("c", "two", True),
        ("c", "", True),
    ]


def test_the_old_form_counts_unless_it_is_a_copy(world: World) -> None:
    def old(**said: Any) -> dict[str, Any]:
        return {"user": models.UserPacket(topic=OLD_TOPIC, payload=json.dumps(said).encode())}

    world.says(**old(id="1", timestamp=3, message="plain"))
    world.says(**old(id="2", timestamp=3, message="a copy", ignoreLegacy=True))
    world.says(**old(id=7, message="named by no text"))
    assert [(said.message, said.text) for said in world.kept] == [
        ("1", "plain"),
        ("", "named by no text"),
    ]


def test_what_is_no_chat_is_not_kept(world: World) -> None:
    world.streams(b"x", topic="whiteboard")
    world.ends()
    world.streams(b"x", text_header=None, byte_header=models.DataStream.ByteHeader(name="a.png"))
    world.ends()
    world.streams(b"x", encryption_type=models.Encryption.GCM)
    world.ends()
    world.streams(b"broken off")
    world.ends(reason="cancelled")
    world.ends()  # which never began, by now
    for payload in (b"{", b"[1]", b'{"message": 3}', b"[" * 9_000, b'{"message":"' + b"x" * 99_999):
        world.says(user=models.UserPacket(topic=OLD_TOPIC, payload=payload))
    world.says(user=models.UserPacket(topic="other", payload=b'{"message":"x"}'))
    assert world.kept == []


def test_a_bomb_is_cut(world: World) -> None:
    bomb = deflated(b"x" * 50_000_000)
    world.streams(inline_content=bomb, compression=models.DataStream.DEFLATE_RAW)
    world.streams(*[b"y" * 15_000] * 100)
    world.ends()
    world.streams(inline_content=b"no deflate", compression=models.DataStream.DEFLATE_RAW)
    assert world.texts == ["x" * MAX_TEXT, "y" * MAX_TEXT]


def test_streams_that_never_end_are_forgotten(world: World) -> None:
    for number in range(MAX_OPEN + 1):
        world.streams(b"x", name=str(number))
    for number in range(MAX_OPEN + 1):
        world.ends(str(number))
    assert [said.message for said in world.kept] == [str(n) for n in range(1, MAX_OPEN + 1)]


async def test_what_is_written_to_all_is_in_the_journal(house: House) -> None:
    rooms = Rooms(house.registry)
    await house.teach()
    room = rooms.find("math")
    assert room is not None
    (session,) = room.classroom.lesson.sessions_of("wang")
    room.relay.enter(session, "wang", "PA_wang", lambda label, raw: True)
    for identities in ([], ["hilltop"]):  # what is said to some is not kept
        said = models.ChatMessage(id=f"m{len(identities)}", message="Welcome")
        packet = models.DataPacket(chat_message=said, destination_identities=identities)
        room.relay.received(session, RELIABLE, packet.SerializeToString())
    assert [event for event in house.journal() if event["type"] == "chat"] == [
        {
            "type": "chat",
            "identity": "wang",
            "role": "teacher",
            "name": "wang",
            "message": "m0",
            "text": "Welcome",
            "edited": False,
        }
    ]
