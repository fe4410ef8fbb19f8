"""What is asked of the participant `classroom`."""

import json
from typing import Any

import pytest
from livekit.protocol import models, rtc

from signaling.events import Grants, Role
from signaling.livekit import rpc
from signaling.livekit.data import RELIABLE, Relay
from signaling.livekit.profile import update_metadata
from signaling.livekit.rpc import ClassroomParticipant
from tests.signaling.livekit.stand import Stand


class Class(Stand):
    """A teacher and two schools who may ask for things."""

    def __init__(self) -> None:
        super().__init__()
        self.relay = Relay(lambda: self.now, self.later, self.lesson.may_send)
        self.participant = ClassroomParticipant(self, self.relay)
        self.heard: dict[str, list[models.DataPacket]] = {}
        self.sit("ann", Role.TEACHER)
        self.sit("one")
        self.sit("two")

    handle = Stand.do

    def sit(self, who: str, role: Role = Role.SCHOOL) -> None:
        sid = self.enter(who, role, grants=Grants(metadata=who == "one"))
        self.heard[who] = []

        def send(label: str, raw: bytes) -> bool:
            assert label == RELIABLE
            self.heard[who].append(models.DataPacket.FromString(raw))
            return True

        self.relay.enter(f"s-{who}", who, sid, send)

    def ask(self, who: str, method: str, payload: str = "", **more: Any) -> models.RpcResponse:
        request = models.RpcRequest(id="r1", method=method, payload=payload, version=1, **more)
        packet = models.DataPacket(rpc_request=request, destination_identities=["classroom"])
        self.relay.received(f"s-{who}", RELIABLE, packet.SerializeToString())
        ack, answer = self.heard[who]
        self.heard[who].clear()
        assert not any(self.heard.values())  # it concerns nobody else
        assert ack.rpc_ack.request_id == "r1"
        assert answer.participant_identity == "classroom"
        assert answer.rpc_response.request_id == "r1"
        return answer.rpc_response

    def floor(self, who: str, method: str, **wish: Any) -> Any:
        answer = self.ask(who, method, json.dumps(wish))
        assert not answer.HasField("error"), answer.error.message
        return json.loads(answer.payload)

    def refusal(self, who: str, method: str, **wish: Any) -> str:
        answer = self.ask(who, method, json.dumps(wish))
        assert answer.error.code == rpc.APPLICATION_ERROR
        return answer.error.message


@pytest.fixture
def lesson() -> Class:
    return Class()


def test_a_hand_a_floor_and_back(lesson: Class) -> None:
    assert lesson.floor("one", "raise_hand") == {"floor": None, "hands": ["one"]}
    assert lesson.floor("two", "raise_hand") == {"floor": None, "hands": ["one", "two"]}
    assert lesson.floor("ann", "grant_floor", identity="two") == {"floor": "two", "hands": ["one"]}
    assert lesson.floor("one", "lower_hand") == {"floor": "two", "hands": []}
    assert lesson.floor("ann", "revoke_floor") == {"floor": None, "hands": []}


def test_the_holder_gives_it_back(lesson: Class) -> None:
    lesson.floor("ann", "grant_floor", identity="two")
    assert "assistant" in lesson.refusal("one", "revoke_floor")
    assert lesson.floor("two", "revoke_floor") == {"floor": None, "hands": []}


def test_schools_have_no_authority(lesson: Class) -> None:
    lesson.floor("one", "raise_hand")
    assert lesson.refusal("two", "lower_hand", identity="one")
    assert lesson.refusal("two", "grant_floor", identity="two")
    assert lesson.floor("ann", "lower_hand", identity="one") == {"floor": None, "hands": []}


def test_of_strangers_it_says_so(lesson: Class) -> None:
    assert "Nobody" in lesson.refusal("ann", "grant_floor", identity="gone")
    assert "Nobody" in lesson.refusal("ann", "grant_floor", identity=3)
    assert "Nobody" in lesson.refusal("ann", "grant_floor")


@pytest.mark.parametrize(
    ("method", "payload", "more", "code"),
    [
        ("sing", "", {}, rpc.UNSUPPORTED_METHOD),
        ("raise_hand", "x" * 5000, {}, rpc.PAYLOAD_TOO_LARGE),
        ("raise_hand", "", {"compressed_payload": b"x"}, rpc.UNSUPPORTED_VERSION),
        ("raise_hand", "[1]", {}, rpc.APPLICATION_ERROR),
        ("raise_hand", "{", {}, rpc.APPLICATION_ERROR),
        ("raise_hand", "[" * 4000, {}, rpc.APPLICATION_ERROR),
    ],
)
def test_what_cannot_be_answered(
    lesson: Class, method: str, payload: str, more: dict[str, Any], code: int
) -> None:
    answer = lesson.ask("one", method, payload, **more)
    assert answer.error.code == code
    assert answer.error.message.endswith(".")


def test_other_packets_to_it_are_dropped(lesson: Class) -> None:
    packet = models.DataPacket(destination_identities=["classroom"])
    packet.user.payload = b"hello"
    lesson.relay.received("s-one", RELIABLE, packet.SerializeToString())
    assert not any(lesson.heard.values())


class TestProfile:
    def test_who_may_changes_what_is_said_of_it(self, lesson: Class) -> None:
        wish = rtc.UpdateParticipantMetadata(name="One", metadata="m", request_id=7)
        wish.attributes["a"] = "1"
        response = update_metadata(lesson, "s-one", wish)
        assert (response.request_id, response.reason) == (7, rtc.RequestResponse.OK)
        info = lesson.presence.info("s-one")
        assert (info.name, info.metadata, info.attributes) == ("One", "m", {"a": "1"})
        again = rtc.UpdateParticipantMetadata(attributes={"a": "", "b": "2"})
        update_metadata(lesson, "s-one", again)
        info = lesson.presence.info("s-one")
        assert (info.name, info.metadata, info.attributes) == ("One", "m", {"b": "2"})

    def test_who_may_not_is_told(self, lesson: Class) -> None:
        wish = rtc.UpdateParticipantMetadata(metadata="m", request_id=8)
        response = update_metadata(lesson, "s-two", wish)
        assert (response.request_id, response.reason) == (8, rtc.RequestResponse.NOT_ALLOWED)
        assert response.message.endswith(".")
        assert lesson.presence.info("s-two").metadata == ""

    def test_too_much_is_refused(self, lesson: Class) -> None:
        wish = rtc.UpdateParticipantMetadata(metadata="m" * 200_000)
        response = update_metadata(lesson, "s-one", wish)
        assert response.reason == rtc.RequestResponse.LIMIT_EXCEEDED
