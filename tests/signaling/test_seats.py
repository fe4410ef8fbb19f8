"""An adapter of another protocol in a real classroom, beside WHIP and WHEP."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from sfu.datachannel import Message
from sfu.engine import UptrackConfig
from sfu.negotiation import Codec
from signaling.classroom import Classroom
from signaling.effects import Announced, Arrived, Departed, Disconnect, Effect, Over, Withdrawn
from signaling.errors import NotPermitted, TeacherPresent
from signaling.events import (
    Event,
    GrantFloor,
    Join,
    Published,
    Remove,
    RevokeFloor,
    Role,
    Track,
    Watch,
    Watching,
)
from signaling.lesson import Phase
from tests.signaling.conftest import House, offer, token


@dataclass
class Seat:
    """A connection of no protocol."""

    id: str
    role: Role = Role.SCHOOL
    peer: int = 0
    site: str = ""
    created_at: float = 0.0
    connected: bool = True
    tells_arrivals: bool = True
    tracks: Sequence[Track] = ()
    watches: Sequence[Watch] = ()
    heard: list[object] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def send(self, label: str, message: Message) -> bool:
        self.heard.append(message)
        return True

    def notify(self, label: str, message: Mapping[str, Any]) -> bool:
        self.heard.append(message)
        return True

    def stream_state(self, downtrack: int, *, paused: bool) -> None:
        self.heard.append((downtrack, paused))

    def close(self) -> None:
        self.closed.set()


class Peer:
    """Its end of the transport."""

    def on_dtls(self, datagram: bytes) -> None: ...
    def on_reachable(self, host: str, port: int) -> None: ...
    def on_consent_lost(self) -> None: ...


class Adapter:
    """Listens, and answers each publication by an event of its own."""

    def __init__(self, classroom: Classroom) -> None:
        self.classroom = classroom
        self.heard: list[Effect] = []
        self.subscribes: list[str] = []
        classroom.add_listener(self)

    def on_effect(self, effect: Effect) -> None:
        self.heard.append(effect)
        if isinstance(effect, Announced):
            number, source = effect.publication.number, effect.publication.track.source
            for session in self.subscribes:
                watch = Watch(session, 900, source, "opus", publication=number)
                self.classroom.handle(Watching(session, (watch,)))

    def kinds(self) -> list[type[Effect]]:
        return [type(effect) for effect in self.heard]


def microphone(uptrack: int) -> Track:
    return Track(uptrack, "audio", "microphone", "opus", 48000)


@pytest.fixture
async def classroom(house: House) -> Classroom:
    await house.teach()
    return house.registry.require("math")


def join(classroom: Classroom, session: str, role: Role = Role.SCHOOL, **more: Any) -> Seat:
    seat = Seat(session, role)
    classroom.seat(seat, Join(session, more.pop("identity", session), role, **more))
    return seat


async def test_a_listener_hears_of_a_lesson_from_its_beginning(house: House) -> None:
    adapters: list[Adapter] = []
    house.registry.on_open(lambda classroom: adapters.append(Adapter(classroom)))
    teacher = await house.teach()
    await house.client.delete(teacher.location)
    (adapter,) = adapters
    came, went = [Arrived, *[Announced] * 3], [*[Withdrawn] * 3, Departed]
    assert adapter.kinds() == [*came, *went, Over]


async def test_what_a_listener_sets_off_comes_after_what_it_heard(
    house: House, classroom: Classroom
) -> None:
    adapter = Adapter(classroom)
    join(classroom, "s")
    adapter.subscribes.append("s")
    join(classroom, "a", Role.ASSISTANT)
    classroom.handle(Published("a", (microphone(501),)))
    assert house.native.sources[900] == 501
    published = [event for event in house.journal() if event["type"] == "track_published"]
    assert published[-1]["identity"] == "a"
    assert house.native.journals[max(house.native.journals)].tracks[published[-1]["track"]] == 501


async def test_who_loses_the_floor_is_cut_off_natively(house: House, classroom: Classroom) -> None:
    join(classroom, "s")
    with pytest.raises(NotPermitted):
        classroom.handle(Published("s", (microphone(501),)))
    classroom.handle(GrantFloor(None, "s"))
    config = UptrackConfig("audio", "0", Codec("opus", 111, 48000), ())
    uptrack = house.engine.add_uptrack(
        house.engine.add_peer("u", "p", Peer()), config, lambda rid, ssrc: None
    )
    classroom.handle(Published("s", (microphone(uptrack),)))
    classroom.flows(uptrack)
    assert len((await house.lessons())[0]["tracks"]) == 1
    classroom.handle(RevokeFloor(None))
    assert house.native.told("remove_uptrack") == [(uptrack,)]
    assert (await house.lessons())[0]["tracks"] == []


async def test_a_whep_viewer_with_room_hears_the_school_that_has_the_floor(
    house: House, classroom: Classroom
) -> None:
    head, audio, camera, slides, data = offer("chromium_watch").split("m=")
    more = [audio.replace("a=mid:0", "a=mid:8"), camera.replace("a=mid:1", "a=mid:9")]
    head = head.replace("BUNDLE 0", "BUNDLE 8 9 0")
    text = "m=".join([head, audio, camera, slides, *more, data])
    viewer = await house.join("/math/whep", text, token("school", identity="v"))
    await viewer.connect()
    assert "a=msid:floor microphone" in viewer.answer
    assert "a=msid:floor camera" in viewer.answer
    assert house.native.downtracks[house.downtrack("9")].codec.name == "VP8"
    teacher_hears = house.native.sources[house.downtrack("0")]
    assert teacher_hears == house.uptrack("0")
    join(classroom, "s")
    classroom.handle(GrantFloor(None, "s"))
    classroom.handle(Published("s", (microphone(501),)))
    assert house.native.sources[house.downtrack("8")] == 501
    assert house.native.sources[house.downtrack("0")] == teacher_hears
    classroom.handle(RevokeFloor(None))
    assert house.native.sources[house.downtrack("8")] is None


async def test_who_is_sent_away_is_told_and_closed_a_moment_later(classroom: Classroom) -> None:
    adapter = Adapter(classroom)
    seat = join(classroom, "s")
    classroom.handle(Remove(None, "s"))
    assert adapter.kinds() == [Arrived, Departed, Disconnect]
    assert seat.heard == [{"type": "removed"}]
    assert not seat.closed.is_set()
    async with asyncio.timeout(2):
        await seat.closed.wait()
    assert "s" not in classroom.sessions


async def test_a_second_seat_of_one_identity_closes_the_first(classroom: Classroom) -> None:
    first = join(classroom, "s1", identity="hilltop", unique=True)
    join(classroom, "s2", identity="hilltop", unique=True)
    async with asyncio.timeout(2):
        await first.closed.wait()
    assert list(classroom.lesson.sessions_of("hilltop")) == ["s2"]


async def test_a_refused_member_has_no_seat(classroom: Classroom) -> None:
    with pytest.raises(TeacherPresent):
        join(classroom, "t2", Role.TEACHER)
    assert "t2" not in classroom.sessions


async def test_a_lost_teacher_may_come_back(classroom: Classroom, house: House) -> None:
    seat = join(house.registry.open("art"), "t", Role.TEACHER, waits=True)
    art = house.registry.require("art")
    art.handle(Published("t", (microphone(501),)))
    art.leave(seat, lost=True)
    assert seat.closed.is_set()
    assert art.lesson.phase is Phase.LINGERING
    art.leave(join(art, "t2", Role.TEACHER, identity="t"))
    assert house.registry.find("art") is None


async def test_what_comes_too_late_is_no_error(classroom: Classroom) -> None:
    event: Event = Published("nobody", (microphone(501),))
    classroom.tell(event)
    assert 501 not in classroom.lesson.publications


async def test_a_listener_that_fails_holds_up_nobody(
    house: House, classroom: Classroom, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def on_effect(self, effect: Effect) -> None:
            raise RuntimeError("oh")

    classroom.add_listener(Broken())
    adapter = Adapter(classroom)
    join(classroom, "s")
    assert adapter.kinds() == [Arrived]
    assert "failed" in caplog.text
