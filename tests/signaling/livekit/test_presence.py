"""What each participant is told of the others, and how often."""

import json

import pytest
from livekit.protocol import models

from signaling.effects import Reason
from signaling.events import (
    Describe,
    DescribeRoom,
    End,
    GrantFloor,
    Grants,
    LowerHand,
    Mute,
    Permit,
    RaiseHand,
    Remove,
    RevokeFloor,
    Role,
    Silence,
    Unpublished,
)
from signaling.livekit import presence
from signaling.livekit.infos import disconnect_reason
from tests.signaling.livekit.stand import Recipient, Stand


@pytest.fixture
def stand() -> Stand:
    return Stand()


def names(people: list[models.ParticipantInfo]) -> list[str]:
    return [person.identity for person in people]


def test_who_comes_is_told_of_by_all_that_is_known(stand: Stand) -> None:
    stand.enter("ann", Role.TEACHER)
    stand.quiet()
    grants = Grants(publish=frozenset({"camera"}), metadata=True)
    sid = stand.enter(
        "bob", Role.ASSISTANT, grants=grants, name="Bob", metadata="m", attributes={"a": "1"}
    )
    assert sid.startswith("PA_")
    stand.wait()
    ((bob,),) = stand.recipients["ann"].updates()
    assert (bob.sid, bob.identity, bob.name, bob.metadata) == (sid, "bob", "Bob", "m")
    assert bob.attributes == {"a": "1"}
    assert bob.state == models.ParticipantInfo.ACTIVE
    assert (bob.joined_at, bob.joined_at_ms) == (1_700_000_000, 1_700_000_000_500)
    assert bob.permission.can_publish
    assert bob.permission.can_subscribe
    assert bob.permission.can_update_metadata
    assert list(bob.permission.can_publish_sources) == [models.CAMERA]
    assert names(stand.presence.others("s-bob")) == ["ann"]


def test_much_at_once_is_one_message_and_the_same_bytes(stand: Stand) -> None:
    stand.enter("ann", Role.TEACHER)
    stand.enter("bob")
    stand.quiet()
    stand.publish("ann", "camera")
    stand.publish("ann", "microphone")
    stand.enter("eve")
    stand.wait(presence.TICK)
    (to_ann,), (to_bob,) = stand.recipients["ann"].raw, stand.recipients["bob"].raw
    assert to_ann is to_bob
    ((ann, eve),) = stand.recipients["bob"].updates()
    assert [track.source for track in ann.tracks] == [models.CAMERA, models.MICROPHONE]
    assert ann.is_publisher
    assert eve.identity == "eve"


def test_versions_only_grow(stand: Stand) -> None:
    stand.enter("ann", Role.TEACHER)
    stand.enter("bob")
    stand.wait()
    stand.publish("ann")
    stand.wait()
    stand.do(Describe(None, "s-ann", name="Ann"))
    stand.wait()
    versions = [
        p.version for u in stand.recipients["bob"].updates() for p in u if p.identity == "ann"
    ]
    assert len(versions) == 3
    assert versions == sorted(set(versions))


class TestTracks:
    def test_as_its_publisher_describes_it(self, stand: Stand) -> None:
        stand.enter("ann", Role.TEACHER)
        stand.enter("bob")
        stand.quiet()
        info = models.TrackInfo(sid="TR_VCx", type=models.VIDEO, name="front", width=1280)
        stand.presence.describe(77, info)
        stand.publish("ann", "camera", uptrack=77)
        stand.wait()
        ((ann,),) = stand.recipients["bob"].updates()
        (track,) = ann.tracks
        assert (track.sid, track.name, track.width) == ("TR_VCx", "front", 1280)
        publication = stand.presence.publication("TR_VCx")
        assert publication is not None
        assert publication.track.uptrack == 77
        better = models.TrackInfo(sid="TR_VCx", type=models.VIDEO, name="front", width=640)
        stand.presence.describe(77, better)
        stand.wait()
        ((ann,),) = stand.recipients["bob"].updates()
        assert ann.tracks[0].width == 640

    def test_of_a_whip_teacher(self, stand: Stand) -> None:
        stand.seat("ann", Role.TEACHER)
        stand.enter("bob")
        stand.publish("ann", "slides")
        stand.publish("ann", "microphone")
        (ann,) = stand.presence.others("s-bob")
        assert ann.state == models.ParticipantInfo.ACTIVE
        slides, microphone = ann.tracks
        assert (slides.type, slides.source) == (models.VIDEO, models.SCREEN_SHARE)
        assert slides.mime_type == "video/vp8"
        assert slides.sid.startswith("TR_VS")
        assert (microphone.type, microphone.mime_type) == (models.AUDIO, "audio/opus")

    def test_taken_back(self, stand: Stand) -> None:
        stand.enter("ann", Role.TEACHER)
        stand.enter("bob")
        uptrack = stand.publish("ann")
        info = stand.presence.track(uptrack)
        assert info is not None
        stand.quiet()
        stand.do(Unpublished("s-ann", uptrack))
        stand.wait()
        ((ann,),) = stand.recipients["bob"].updates()
        assert not ann.tracks
        assert not ann.is_publisher
        assert stand.presence.publication(info.sid) is None
        assert not stand.recipients["ann"].of("track_unpublished")  # it knows

    def test_muted_by_its_publisher(self, stand: Stand) -> None:
        stand.enter("ann", Role.TEACHER)
        stand.enter("bob")
        uptrack = stand.publish("ann")
        stand.quiet()
        stand.do(Mute("s-ann", uptrack, True))
        stand.wait()
        ((ann,),) = stand.recipients["bob"].updates()
        assert ann.tracks[0].muted
        assert not stand.recipients["ann"].of("mute")

    def test_silenced_by_authority(self, stand: Stand) -> None:
        stand.enter("ann", Role.TEACHER)
        stand.enter("bob", Role.ASSISTANT)
        uptrack = stand.publish("bob")
        stand.quiet()
        stand.do(Silence("s-ann", stand.lesson.publications[uptrack].number))
        (mute,) = stand.recipients["bob"].of("mute")  # at once
        info = stand.presence.track(uptrack)
        assert info is not None
        assert (mute.sid, mute.muted) == (info.sid, True)
        stand.wait()
        ((bob,),) = stand.recipients["ann"].updates()
        assert bob.tracks[0].muted


class TestGoing:
    def test_who_leaves(self, stand: Stand) -> None:
        stand.enter("ann", Role.TEACHER)
        stand.enter("bob")
        stand.quiet()
        stand.do(Remove("s-ann", "s-bob"))
        stand.wait()
        ((bob,),) = stand.recipients["ann"].updates()
        assert bob.state == models.ParticipantInfo.DISCONNECTED
        assert bob.disconnect_reason == models.PARTICIPANT_REMOVED

    def test_who_comes_back_by_another_connection_is_not_its_own_ghost(self, stand: Stand) -> None:
        stand.enter("ann", Role.TEACHER)
        old = stand.enter("bob")
        stand.quiet()
        new = stand.enter("bob", session="s-bob-2")
        assert new != old
        stand.wait()
        ((gone, back),) = stand.recipients["ann"].updates()
        assert (gone.sid, gone.state) == (old, models.ParticipantInfo.DISCONNECTED)
        assert gone.disconnect_reason == models.DUPLICATE_IDENTITY
        assert (back.sid, back.state) == (new, models.ParticipantInfo.ACTIVE)
        assert all(p.sid == new for u in stand.recipients["bob"].updates() for p in u)

    def test_the_end(self, stand: Stand) -> None:
        stand.enter("ann", Role.TEACHER)
        stand.do(End("shutdown"))
        stand.wait()
        assert stand.presence.everybody() == []


class TestHidden:
    def test_nobody_sees_it_but_itself(self, stand: Stand) -> None:
        stand.enter("ann", Role.TEACHER)
        stand.quiet()
        stand.enter("spy", Role.OBSERVER, grants=Grants(hidden=True))
        stand.wait()
        assert stand.recipients["ann"].updates() == []
        assert stand.presence.others("s-ann") == []
        (own,) = stand.recipients["spy"].updates()
        assert names(own) == ["spy"]
        assert stand.presence.room().num_participants == 1
        assert not stand.presence.sees("s-ann", "s-spy")
        assert names(stand.presence.everybody()) == ["ann", "spy"]
        stand.recipients["ann"].raw.clear()
        stand.go("spy")
        stand.wait()
        assert stand.recipients["ann"].updates() == []


class TestCrowd:
    """More participants than everybody is told of."""

    @pytest.fixture
    def stand(self, monkeypatch: pytest.MonkeyPatch) -> Stand:
        monkeypatch.setattr(presence, "CROWD", 3)
        stand = Stand()
        stand.enter("ann", Role.TEACHER)
        for name in ("one", "two", "three", "four"):
            stand.enter(name)
        stand.quiet()
        return stand

    def test_schools_hear_of_few_and_the_teacher_of_all(self, stand: Stand) -> None:
        stand.enter("five")
        stand.wait()
        assert names(stand.recipients["ann"].updates()[0]) == ["five"]
        assert stand.recipients["one"].updates() == []
        assert names(stand.recipients["five"].updates()[0]) == ["five"]  # itself
        assert names(stand.presence.others("s-five")) == ["ann", "one", "two"]
        assert names(stand.presence.others("s-ann")) == ["one", "two", "three", "four", "five"]
        assert stand.presence.room().num_participants == 6

    def test_the_room_tells_how_many_once_a_second(self, stand: Stand) -> None:
        for number in range(20):
            stand.enter(f"x{number}")
            stand.wait(0.04)
        stand.wait()
        rooms = stand.recipients["one"].of("room_update")
        assert 1 <= len(rooms) <= 3
        assert rooms[-1].room.num_participants == 25

    def test_who_publishes_or_asks_is_seen_and_seen_leaving(self, stand: Stand) -> None:
        stand.do(RaiseHand("s-three"))
        stand.wait()
        ((three,),) = stand.recipients["one"].updates()
        assert three.identity == "three"
        stand.do(LowerHand("s-three", "s-three"))
        stand.go("three")
        stand.go("four")
        stand.wait()
        gone = [p for u in stand.recipients["one"].updates() for p in u]
        assert names(gone) == ["three"]
        assert gone[0].state == models.ParticipantInfo.DISCONNECTED
        assert names(stand.recipients["ann"].updates()[-1]) == ["three", "four"]

    def test_who_is_given_authority_is_told_of_all(self, stand: Stand) -> None:
        stand.do(Permit(None, "s-one", Grants(), Role.ASSISTANT))
        stand.wait()
        told = {p.identity for u in stand.recipients["one"].updates() for p in u}
        assert told >= {"ann", "two", "three", "four"}

    def test_bytes_for_one_do_not_grow_with_the_others(self) -> None:
        def bytes_of_a_school(schools: int) -> int:
            stand = Stand()
            stand.enter("ann", Role.TEACHER)
            stand.enter("first")
            for number in range(schools):
                stand.enter(f"x{number}")
                stand.wait(0.1)
            stand.wait()
            return sum(map(len, stand.recipients["first"].raw))

        few, many = bytes_of_a_school(30), bytes_of_a_school(300)
        assert many < few + 300 * 0.1 * 200  # ten joins a second: a count of 200 bytes each second


class TestRoom:
    def test_what_is_said_of_it(self, stand: Stand) -> None:
        stand.enter("ann", Role.TEACHER)
        stand.publish("ann")
        stand.quiet()
        stand.do(DescribeRoom("s-ann", "chapter 3"))
        stand.wait(presence.TICK)
        (update,) = stand.recipients["ann"].of("room_update")
        room = update.room
        assert (room.name, room.sid, room.metadata) == ("math", stand.presence.sid, "chapter 3")
        assert (room.num_participants, room.num_publishers) == (1, 1)
        assert (room.creation_time, room.departure_timeout) == (1_000, 30)

    def test_the_floor_and_who_asks_for_it(self, stand: Stand) -> None:
        stand.enter("ann", Role.TEACHER)
        for name in ("one", "two"):
            stand.enter(name)
            stand.do(RaiseHand(f"s-{name}"))
        assert json.loads(stand.presence.room().metadata) == {
            "floor": None,
            "hands": ["one", "two"],
        }
        stand.quiet()
        stand.do(GrantFloor("s-ann", "s-two"))
        stand.wait(presence.TICK)
        messages = stand.recipients["one"].taken()
        (room,) = [m.room_update.room for m in messages if m.HasField("room_update")]
        assert json.loads(room.metadata) == {"floor": "two", "hands": ["one"]}
        ((two,),) = [m.update.participants for m in messages if m.HasField("update")]
        assert two.permission.can_publish
        assert set(two.permission.can_publish_sources) == {models.CAMERA, models.MICROPHONE}

    @pytest.mark.parametrize(
        ("written", "shown"),
        [('{"page":3}', {"page": 3}), ("page 3", {"metadata": "page 3"}), ("", {}), ("3", None)],
    )
    def test_what_was_written_stays(
        self, stand: Stand, written: str, shown: dict[str, object] | None
    ) -> None:
        stand.enter("ann", Role.TEACHER)
        stand.enter("one")
        stand.do(DescribeRoom("s-ann", written))
        assert stand.presence.room().metadata == written
        stand.do(RaiseHand("s-one"))
        shown = {"metadata": "3"} if shown is None else shown
        expected = {**shown, "floor": None, "hands": ["one"]}
        assert json.loads(stand.presence.room().metadata) == expected
        stand.do(LowerHand("s-one", "s-one"))
        assert stand.presence.room().metadata == written

    def test_who_loses_the_floor_is_told_to_stop(self, stand: Stand) -> None:
        stand.enter("ann", Role.TEACHER)
        stand.enter("one")
        stand.do(GrantFloor("s-ann", "s-one"))
        uptrack = stand.publish("one")
        info = stand.presence.track(uptrack)
        assert info is not None
        stand.quiet()
        stand.do(RevokeFloor("s-ann"))
        (gone,) = stand.recipients["one"].of("track_unpublished")
        assert gone.track_sid == info.sid
        stand.wait()
        last = stand.recipients["ann"].updates()[-1]
        assert [(p.identity, len(p.tracks), p.permission.can_publish) for p in last] == [
            ("one", 0, False)
        ]


class TestTheWorldOutside:
    def test_hears_all_of_a_lesson_in_order(self, stand: Stand) -> None:
        stand.seat("ann", Role.TEACHER)
        stand.publish("ann", "camera")
        stand.enter("bob")
        stand.go("bob")
        stand.do(End("teacher"))
        assert stand.told == [
            ("room_started", "", ""),
            ("participant_joined", "ann", ""),
            ("track_published", "ann", "camera"),
            ("participant_joined", "bob", ""),
            ("participant_left", "bob", ""),
            ("participant_left", "ann", ""),
            ("room_finished", "", ""),
        ]

    def test_of_a_client_that_never_connects_it_hears_nothing(self, stand: Stand) -> None:
        stand.seat("ann", Role.TEACHER)
        stand.seat("bob")
        stand.presence.enter("s-bob", Recipient())
        stand.wait()
        stand.go("bob")
        assert ("participant_joined", "bob", "") not in stand.told
        assert ("participant_left", "bob", "") not in stand.told
        assert ("participant_joined", "ann", "") in stand.told


def test_reasons_are_livekits() -> None:
    assert disconnect_reason(Reason.LEFT) == models.CLIENT_INITIATED
    assert disconnect_reason(Reason.ENDED) == models.ROOM_CLOSED
    assert disconnect_reason(Reason.FORBIDDEN) == models.UNKNOWN_REASON
