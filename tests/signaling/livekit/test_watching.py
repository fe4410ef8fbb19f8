"""What the media plane says reaches participants; what happens reaches other systems."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from livekit.protocol import models

from signaling.classroom import Classroom
from signaling.edge import unix_now
from signaling.livekit import speech
from signaling.livekit.presence import Presence
from signaling.livekit.reports import reports
from signaling.livekit.rooms import Rooms
from signaling.livekit.watching import Watching
from signaling.webhooks import Key, Webhooks
from tests import fake_media
from tests.signaling.conftest import House
from tests.signaling.livekit.stand import Recipient


class Scene:
    """A WHIP teacher and a WHEP school, to whom LiveKit's presence listens as well."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.presences: dict[str, Presence] = {}
        self.recipient = Recipient()
        house.registry.on_open(self.opened)
        self.watching = Watching(
            house.registry, lambda classroom: self.presences[classroom.lesson.name], house.engine
        )

    def opened(self, classroom: Classroom) -> None:
        presence = Presence(
            classroom.lesson,
            created_at=classroom.started_at,
            wall=unix_now,
            later=asyncio.get_running_loop().call_later,
        )
        self.presences[classroom.lesson.name] = presence
        classroom.add_listener(presence)

    @property
    def presence(self) -> Presence:
        return self.presences["math"]

    def session(self, identity: str) -> str:
        return self.house.registry.require("math").lesson.sessions_of(identity)[-1]

    def listen(self, identity: str) -> None:
        self.presence.enter(self.session(identity), self.recipient)


@pytest.fixture
def scene(house: House) -> Scene:
    return Scene(house)


async def test_who_speaks(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "EVERY", 0.001)
    teacher = await scene.house.teach()
    scene.listen("wang")
    microphone = scene.house.uptrack("0")
    assert scene.house.native.uptracks[microphone].kind == "audio"
    await teacher.say(fake_media.Speaking(microphone, 0.5, True))
    await asyncio.sleep(0.02)
    (changed,) = scene.recipient.of("speakers_changed")
    (speaker,) = changed.speakers
    assert speaker.sid == scene.presence.info(scene.session("wang")).sid
    assert (speaker.level, speaker.active) == (0.5, True)


async def test_how_good_the_links_are(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    await scene.house.teach()
    school = await scene.house.watch(identity="hill")
    scene.listen("hill")
    row: dict[str, Any] = {"peer": school.id, "rtt_ms": 30.0, "lost": 0, "delivered": 100}
    monkeypatch.setattr(scene.house.native, "stats", lambda: {"links": [row]})
    scene.watching.look()
    scene.watching.look()  # nothing was sent since: nothing is known, nothing is told
    row |= {"rtt_ms": 500.0, "lost": 50, "delivered": 150}
    scene.watching.look()
    told = [u for m in scene.recipient.of("connection_quality") for u in m.updates]
    assert {u.participant_sid for u in told} == {scene.presence.info(scene.session("hill")).sid}
    assert [u.quality for u in told] == [models.EXCELLENT, models.POOR]


async def test_nobody_listens_nothing_is_asked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.house.teach()
    monkeypatch.setattr(scene.house.native, "stats", None)  # would raise
    scene.watching.look()


async def test_webhooks_tell_of_rooms_people_and_tracks(house: House) -> None:
    told: list[dict[str, Any]] = []

    async def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        told.append(json.loads(body))
        return 200

    hooks = Webhooks(["https://a.example"], Key("k", "s" * 32), unix_now, post=post)
    rooms = Rooms(
        house.registry, reports(hooks, lambda classroom: rooms.of(classroom).presence.room())
    )
    await house.teach()
    house.registry.require("math").end("teacher")
    await hooks.close()
    assert [one["event"] for one in told] == [
        "room_started",
        "participant_joined",
        *["track_published"] * 3,
        "participant_left",
        "room_finished",
    ]
    assert {one["room"]["name"] for one in told} == {"math"}
    assert told[1]["participant"]["identity"] == "wang"
    assert {one["track"]["source"] for one in told[2:5]} == {
        "CAMERA",
        "MICROPHONE",
        "SCREEN_SHARE",
    }
    await hooks.close()
