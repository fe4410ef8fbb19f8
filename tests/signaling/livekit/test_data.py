from collections.abc import Callable
from typing import Any

import pytest
from livekit.protocol import models

from signaling.livekit import data
from signaling.livekit.data import LOSSY, RELIABLE, Relay


class World:
    """A lesson's data on a clock of its own: ann, bob and eve, all open."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Callable[[], None]] = []
        self.heard: dict[str, list[tuple[str, models.DataPacket]]] = {}
        self.shut: set[str] = set()
        self.mute: set[str] = set()
        self.relay = Relay(
            lambda: self.now,
            lambda _, call: self.timers.append(call),
            lambda session: session not in self.mute,
        )
        for name in ("ann", "bob", "eve"):
            self.enter(name)

    def enter(self, name: str) -> None:
        self.heard[name] = []

        def send(label: str, raw: bytes) -> bool:
            if name in self.shut:
                return False
            self.heard[name].append((label, models.DataPacket.FromString(raw)))
            return True

        self.relay.enter(f"s-{name}", name, f"PA_{name}", send)

    def say(self, name: str, packet: models.DataPacket, label: str = RELIABLE) -> None:
        self.relay.received(f"s-{name}", label, packet.SerializeToString())

    def texts(self, name: str) -> list[bytes]:
        return [packet.user.payload for _, packet in self.heard[name]]

    def wait(self) -> None:
        timers, self.timers = self.timers, []
        for timer in timers:
            timer()


@pytest.fixture
def world() -> World:
    return World()


def user(payload: bytes, **more: Any) -> models.DataPacket:
    return models.DataPacket(user=models.UserPacket(payload=payload, topic="t"), **more)


def test_all_others_hear_it_with_the_true_sender(world: World) -> None:
    forged = user(b"hello", participant_identity="teacher", participant_sid="PA_teacher")
    forged.user.participant_identity = "teacher"
    world.say("ann", forged)
    assert world.heard["ann"] == []
    for name in ("bob", "eve"):
        ((label, packet),) = world.heard[name]
        assert (label, packet.user.payload, packet.user.topic) == (RELIABLE, b"hello", "t")
        assert (packet.participant_identity, packet.participant_sid) == ("ann", "PA_ann")
        assert (packet.user.participant_identity, packet.user.participant_sid) == ("ann", "PA_ann")


def test_only_those_named_hear_it(world: World) -> None:
    world.say("ann", user(b"1", destination_identities=["eve"]))
    old = user(b"2")
    old.user.destination_sids.append("PA_eve")
    world.say("ann", old, LOSSY)
    gone = user(b"3")
    gone.user.destination_sids.append("PA_gone")
    world.say("ann", gone)
    assert world.texts("bob") == []
    assert world.texts("eve") == [b"1", b"2"]


@pytest.mark.parametrize("kind", ["rpc_request", "rpc_ack", "stream_header", "stream_chunk"])
def test_rpc_and_streams_pass(world: World, kind: str) -> None:
    packet = models.DataPacket(destination_identities=["bob"])
    getattr(packet, kind).SetInParent()
    world.say("ann", packet)
    assert world.heard["bob"][0][1].WhichOneof("value") == kind


def test_what_a_newer_protocol_adds_passes_unread(world: World) -> None:
    unknown = b"\xfa\x7f\x03new"  # field 2047, of a packet that is otherwise ours
    world.relay.received("s-ann", RELIABLE, user(b"x").SerializeToString() + unknown)
    assert unknown in world.heard["bob"][0][1].SerializeToString()


def test_reliable_packets_wait_in_order_until_the_channel_opens(world: World) -> None:
    world.shut = {"bob"}
    world.say("ann", user(b"1"))
    world.say("ann", user(b"lost"), LOSSY)
    world.say("ann", user(b"2"))
    world.shut = set()
    world.say("ann", user(b"3"))  # must not overtake
    assert world.texts("bob") == []
    world.relay.opened("s-bob", RELIABLE)
    assert world.texts("bob") == [b"1", b"2", b"3"]
    assert world.relay.dropped == 1


def test_a_full_channel_is_tried_again(world: World) -> None:
    world.shut = {"bob"}
    world.say("ann", user(b"1"))
    world.wait()
    assert len(world.timers) == 1  # and again, once
    world.shut = set()
    world.wait()
    assert world.texts("bob") == [b"1"]
    assert not world.timers


def test_what_waits_is_bounded(world: World) -> None:
    world.shut = {"bob"}
    for number in range(600):
        world.say("ann", user(b"%d" % number))
    world.shut = set()
    world.relay.opened("s-bob", RELIABLE)
    assert world.texts("bob") == [b"%d" % number for number in range(512)]
    assert world.relay.dropped == 88


def test_bytes_that_wait_are_bounded(world: World) -> None:
    world.shut = {"bob"}
    for _ in range(50):
        world.say("ann", user(b"x" * 60_000))
    world.shut = set()
    world.relay.opened("s-bob", RELIABLE)
    assert 30 <= len(world.texts("bob")) <= 35


class TestRules:
    def test_who_may_not_send_is_not_heard(self, world: World) -> None:
        world.mute.add("s-ann")
        world.say("ann", user(b"x"))
        assert world.texts("bob") == []
        world.mute.clear()
        world.say("ann", user(b"y"))
        assert world.texts("bob") == [b"y"]

    @pytest.mark.parametrize("raw", [b"", b"\xff\xff\xff", b"x" * 70_000, b"\x12\xff\x01a"])
    def test_junk_is_dropped_and_counted(self, world: World, raw: bytes) -> None:
        world.relay.received("s-ann", RELIABLE, raw)
        assert world.heard["bob"] == []
        assert world.relay.dropped == 1

    def test_nobody_claims_who_speaks(self, world: World) -> None:
        speaker = models.ActiveSpeakerUpdate(speakers=[models.SpeakerInfo(sid="PA_eve")])
        world.say("ann", models.DataPacket(speaker=speaker))
        assert world.heard["bob"] == []

    def test_other_labels_and_strangers_are_ignored(self, world: World) -> None:
        world.say("ann", user(b"x"), "tongbu")
        world.say("stranger", user(b"x"))
        assert world.heard["bob"] == []

    def test_a_flood_is_cut_and_leaves_room_for_others(self, world: World) -> None:
        for _ in range(20_000):
            world.say("ann", user(b"x"), LOSSY)
        assert 4_900 <= len(world.heard["bob"]) <= 5_100  # 10,000 deliveries to two
        world.say("eve", user(b"mine"))
        assert world.texts("bob")[-1] == b"mine"
        world.now += 1
        world.say("ann", user(b"again"))
        assert world.texts("bob")[-1] == b"again"


class TestResume:
    def test_what_was_missed_comes_again_in_order(self, world: World) -> None:
        for sequence in (1, 2, 3, 4):
            world.say("ann", user(b"%d" % sequence, sequence=sequence))
        world.say("ann", user(b"for eve", sequence=5, destination_identities=["eve"]))
        world.heard["bob"].clear()
        world.relay.replay("s-bob", {"PA_ann": 2})
        assert world.texts("bob") == [b"3", b"4"]

    def test_it_comes_before_what_waits_and_once(self, world: World) -> None:
        world.say("ann", user(b"1", sequence=1))
        world.shut = {"bob"}
        world.say("ann", user(b"2", sequence=2))
        world.say("eve", user(b"unnumbered"))
        world.heard["bob"].clear()
        world.shut = set()
        world.relay.replay("s-bob", {})
        assert world.texts("bob") == [b"1", b"2", b"unnumbered"]

    def test_what_a_client_may_have_forgotten_does_not_come_twice(self, world: World) -> None:
        world.say("ann", user(b"1", sequence=1))
        world.now += 20
        world.say("eve", user(b"a", sequence=1))
        world.now += 15
        world.heard["bob"].clear()
        world.relay.replay("s-bob", {})
        assert world.texts("bob") == [b"a"]
        world.heard["bob"].clear()
        world.relay.replay("s-bob", {"PA_ann": 0, "PA_eve": 1})
        assert world.texts("bob") == [b"1"]

    def test_who_is_away_may_leave_a_gap_and_fill_it(self, world: World) -> None:
        world.say("ann", user(b"1", sequence=1))
        world.relay.away("s-ann")
        world.say("ann", user(b"4", sequence=4))  # two and three the client keeps back
        world.say("ann", user(b"unnumbered"))
        assert world.texts("bob") == [b"1", b"unnumbered"]
        assert world.relay.last_sequence("s-ann") == 1
        world.relay.back("s-ann")
        for sequence in (2, 3, 4):
            world.say("ann", user(b"%d" % sequence, sequence=sequence))
        assert world.texts("bob") == [b"1", b"unnumbered", b"2", b"3", b"4"]

    @pytest.mark.parametrize("goes", [True, False])
    def test_a_gap_that_is_not_filled_is_passed_over(self, world: World, goes: bool) -> None:
        world.relay.away("s-ann")
        world.say("ann", user(b"2", sequence=2))
        if goes:
            world.relay.leave("s-ann")
        else:
            world.relay.back("s-ann")
            world.wait()
        assert world.texts("bob") == [b"2"]

    def test_what_a_publisher_sends_again_is_heard_once(self, world: World) -> None:
        world.say("ann", user(b"1", sequence=1))
        world.say("ann", user(b"2", sequence=2))
        assert world.relay.last_sequence("s-ann") == 2
        world.say("ann", user(b"2", sequence=2))
        world.say("ann", user(b"3", sequence=3))
        assert world.texts("bob") == [b"1", b"2", b"3"]

    def test_who_came_later_gets_nothing_of_before(self, world: World) -> None:
        world.say("ann", user(b"1", sequence=1))
        world.now += 1
        world.enter("new")
        world.relay.replay("s-new", {})
        assert world.texts("new") == []

    def test_the_past_is_bounded_in_time_and_bytes(self, world: World) -> None:
        world.say("ann", user(b"old", sequence=1))
        world.now += 61
        for sequence in range(2, 102):
            world.say("ann", user(b"x" * 60_000, sequence=sequence))
        world.heard["bob"].clear()
        world.relay.replay("s-bob", {})
        assert b"old" not in world.texts("bob")
        assert sum(map(len, world.texts("bob"))) <= data._MAX_KEPT_BYTES


def test_a_server_side_participant_is_asked_alone(world: World) -> None:
    asked: list[tuple[str, str]] = []
    world.relay.serve("classroom", lambda session, p: asked.append((session, p.rpc_request.method)))
    request = models.RpcRequest(id="1", method="raise_hand")
    world.say("ann", models.DataPacket(rpc_request=request, destination_identities=["classroom"]))
    assert asked == [("s-ann", "raise_hand")]
    assert world.heard["bob"] == []


def test_who_floods_it_is_cut(world: World) -> None:
    asked: list[str] = []
    world.relay.serve("classroom", lambda session, packet: asked.append(session))
    request = models.DataPacket(destination_identities=["classroom"])
    request.rpc_request.method = "raise_hand"
    for _ in range(500):
        world.say("ann", request)
    assert len(asked) == 100


def test_the_server_speaks_to_some_or_all(world: World) -> None:
    world.relay.publish(user(b"all"), RELIABLE, [])
    world.relay.publish(user(b"bob"), LOSSY, ["bob"])
    assert world.texts("ann") == [b"all"]
    assert world.texts("bob") == [b"all", b"bob"]


def test_who_left_is_forgotten(world: World) -> None:
    world.relay.leave("s-bob")
    world.say("ann", user(b"x"))
    assert world.texts("bob") == []
