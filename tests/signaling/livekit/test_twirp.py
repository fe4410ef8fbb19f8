"""LiveKit's RoomService, called as its server SDKs call it: over HTTP, protobuf or JSON."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from google.protobuf.message import Message
from livekit.protocol import models
from livekit.protocol import room as service

from signaling.classroom import Classroom
from signaling.config import DEV_KEY, DEV_SECRET
from signaling.edge import unix_now
from signaling.events import SOURCES, Grants, Member, Role
from signaling.livekit.data import LOSSY, RELIABLE, Relay
from signaling.livekit.presence import Presence
from signaling.livekit.twirp import RoomService, permit
from tests.signaling.conftest import House, token
from tests.signaling.livekit.stand import Recipient


@dataclass
class Room:
    """What LiveKit's adapter keeps of a lesson, without its connections."""

    presence: Presence
    relay: Relay
    wishes: list[tuple[str, list[str], bool]] = field(default_factory=list)

    def subscribe(self, session: str, track_sids: Sequence[str], wanted: bool) -> None:
        self.wishes.append((session, list(track_sids), wanted))


@dataclass
class Office:
    """An administrator's end."""

    house: House
    rooms: dict[str, Room]
    client: "TestClient[Any, Any]"

    async def call(
        self, method: str, request: Message, answer: Any, bearer: str | None = None
    ) -> Any:
        """By protobuf; must be answered."""
        response = await self.client.post(
            f"/twirp/livekit.RoomService/{method}",
            data=request.SerializeToString(),
            headers={
                "Content-Type": "application/protobuf",
                "Authorization": f"Bearer {bearer or admin()}",
            },
        )
        body = await response.read()
        assert response.status == 200, body
        assert response.content_type == "application/protobuf"
        return answer.FromString(body)

    async def ask(
        self, method: str, request: Any, bearer: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        """By JSON; status and answer."""
        auth = {"Authorization": f"Bearer {bearer or admin()}"}
        response = await self.client.post(
            f"/twirp/livekit.RoomService/{method}", json=request, headers={**auth, **headers}
        )
        return response.status, await response.json()

    def session(self, identity: str) -> str:
        return self.house.registry.require("math").lesson.sessions_of(identity)[-1]

    def track(self) -> str:
        """The sid of what the teacher publishes first."""
        return self.rooms["math"].presence.info(self.session("wang")).tracks[0].sid


def admin(lesson: str | None = "math", **grants: object) -> str:
    all_grants = {"roomAdmin": True, "roomCreate": True, "roomList": True, **grants}
    return token("archivist", lesson, grants={"room": lesson, **all_grants})


@pytest.fixture
async def office(house: House) -> AsyncIterator[Office]:
    rooms: dict[str, Room] = {}
    loop = asyncio.get_running_loop()

    def opened(classroom: Classroom) -> None:
        lesson = classroom.lesson
        presence = Presence(
            lesson, created_at=classroom.started_at, wall=unix_now, later=loop.call_later
        )
        rooms[lesson.name] = Room(presence, Relay(loop.time, loop.call_later, lesson.may_send))
        classroom.add_listener(presence)

    house.registry.on_open(opened)
    room_service = RoomService(
        house.registry, lambda classroom: rooms[classroom.lesson.name], {DEV_KEY: DEV_SECRET}
    )
    app = web.Application(client_max_size=64 * 1024)
    app.add_routes(room_service.routes())
    async with TestClient(TestServer(app)) as client:
        yield Office(house, rooms, client)


class TestRooms:
    async def test_made_listed_and_deleted(self, office: Office) -> None:
        wish = service.CreateRoomRequest(
            name="math", metadata="m", max_participants=10, departure_timeout=7, empty_timeout=60
        )
        room = await office.call("CreateRoom", wish, models.Room)
        assert (room.name, room.metadata, room.departure_timeout) == ("math", "m", 7)
        assert room.sid.startswith("RM_")
        lesson = office.house.registry.require("math").lesson
        assert lesson.kept
        assert lesson.rules.max_schools == 3  # never more than the node allows
        again = await office.call("CreateRoom", service.CreateRoomRequest(name="math"), models.Room)
        assert again.sid == room.sid
        listed = await office.call(
            "ListRooms", service.ListRoomsRequest(), service.ListRoomsResponse
        )
        assert [one.sid for one in listed.rooms] == [room.sid]
        none = await office.call(
            "ListRooms", service.ListRoomsRequest(names=["art"]), service.ListRoomsResponse
        )
        assert not none.rooms
        gone = service.DeleteRoomRequest(room="math")
        await office.call("DeleteRoom", gone, service.DeleteRoomResponse)
        assert office.house.registry.find("math") is None
        status, error = await office.ask("DeleteRoom", {"room": "math"})
        assert (status, error["code"]) == (404, "not_found")

    async def test_by_json_with_either_spelling(self, office: Office) -> None:
        status, room = await office.ask("CreateRoom", {"name": "math", "departureTimeout": 9})
        assert (status, room["departure_timeout"]) == (200, 9)
        assert room["num_participants"] == 0
        status, room = await office.ask("CreateRoom", {"name": "math", "unheard_of": 1})
        assert status == 200

    async def test_metadata(self, office: Office) -> None:
        await office.house.teach()
        wish = service.UpdateRoomMetadataRequest(room="math", metadata="chapter 3")
        room = await office.call("UpdateRoomMetadata", wish, models.Room)
        assert room.metadata == "chapter 3"


class TestParticipants:
    async def test_listed_found_and_removed(self, office: Office) -> None:
        await office.house.teach()
        await office.house.watch(identity="hill")
        wish = service.ListParticipantsRequest(room="math")
        listed = await office.call("ListParticipants", wish, service.ListParticipantsResponse)
        assert {p.identity for p in listed.participants} == {"wang", "hill"}
        hill = service.RoomParticipantIdentity(room="math", identity="hill")
        found = await office.call("GetParticipant", hill, models.ParticipantInfo)
        assert found.identity == "hill"
        await office.call("RemoveParticipant", hill, service.RemoveParticipantResponse)
        status, error = await office.ask("GetParticipant", {"room": "math", "identity": "hill"})
        assert (status, error["code"]) == (404, "not_found")

    async def test_changed(self, office: Office) -> None:
        await office.house.teach()
        await office.house.watch(identity="hill")
        wish = service.UpdateParticipantRequest(room="math", identity="hill", name="Hilltop")
        wish.attributes["grade"] = "5"
        wish.permission.can_publish = wish.permission.can_subscribe = True
        wish.permission.can_publish_sources.append(models.CAMERA)
        info = await office.call("UpdateParticipant", wish, models.ParticipantInfo)
        assert (info.name, info.attributes) == ("Hilltop", {"grade": "5"})
        assert info.permission.can_publish
        assert list(info.permission.can_publish_sources) == [models.CAMERA]
        assert not info.permission.can_publish_data
        member = office.house.registry.require("math").lesson.members[office.session("hill")]
        assert member.role is Role.ASSISTANT

    async def test_too_much_metadata_is_refused(self, office: Office) -> None:
        await office.house.teach()
        wish = {"room": "math", "identity": "wang", "metadata": "m" * 70_000}
        status, error = await office.ask("UpdateParticipant", wish)
        assert (status, error["code"]) == (400, "malformed")  # more than the node reads at all


class TestMedia:
    async def test_a_track_is_muted_and_released(self, office: Office) -> None:
        await office.house.teach()
        recipient = Recipient()
        office.rooms["math"].presence.enter(office.session("wang"), recipient)
        sid = office.track()
        mute = service.MuteRoomTrackRequest(room="math", identity="wang", track_sid=sid, muted=True)
        answer = await office.call("MutePublishedTrack", mute, service.MuteRoomTrackResponse)
        assert (answer.track.sid, answer.track.muted) == (sid, True)
        (told,) = recipient.of("mute")
        assert (told.sid, told.muted) == (sid, True)
        publication = office.rooms["math"].presence.publication(sid)
        assert publication is not None
        assert publication.silenced
        mute.muted = False
        answer = await office.call("MutePublishedTrack", mute, service.MuteRoomTrackResponse)
        assert not answer.track.muted

    async def test_of_somebody_else_or_nobody(self, office: Office) -> None:
        await office.house.teach()
        await office.house.watch(identity="hill")
        for identity, sid in (("wang", "TR_none"), ("hill", office.track())):
            wish = {"room": "math", "identity": identity, "track_sid": sid, "muted": True}
            status, error = await office.ask("MutePublishedTrack", wish)
            assert (status, error["code"]) == (404, "not_found")

    async def test_subscriptions(self, office: Office) -> None:
        await office.house.teach()
        wish = service.UpdateSubscriptionsRequest(
            room="math", identity="wang", track_sids=["TR_1"], subscribe=True
        )
        wish.participant_tracks.add(participant_sid="PA_1", track_sids=["TR_2"])
        await office.call("UpdateSubscriptions", wish, service.UpdateSubscriptionsResponse)
        wishes = office.rooms["math"].wishes
        assert wishes == [(office.session("wang"), ["TR_1", "TR_2"], True)]

    async def test_data_to_some(self, office: Office) -> None:
        await office.house.teach()
        await office.house.watch(identity="hill")
        heard: list[tuple[str, str, bytes]] = []
        relay = office.rooms["math"].relay

        def listen(identity: str) -> None:
            def send(label: str, raw: bytes) -> bool:
                packet = models.DataPacket.FromString(raw)
                heard.append((identity, label, packet.user.payload))
                return True

            relay.enter(office.session(identity), identity, f"PA_{identity}", send)

        listen("wang")
        listen("hill")
        wish = service.SendDataRequest(room="math", data=b"x", topic="t")
        wish.destination_identities.append("hill")
        await office.call("SendData", wish, service.SendDataResponse)
        del wish.destination_identities[:]
        wish.kind = models.DataPacket.LOSSY
        await office.call("SendData", wish, service.SendDataResponse)
        assert heard == [
            ("hill", RELIABLE, b"x"),
            ("wang", LOSSY, b"x"),
            ("hill", LOSSY, b"x"),
        ]


class TestRefusals:
    @pytest.mark.parametrize(
        ("method", "wish", "bearer", "status", "code"),
        [
            ("ListRooms", {}, "garbage", 401, "unauthenticated"),
            ("ListRooms", {}, token("teacher"), 403, "permission_denied"),
            ("ListRooms", {}, token("archivist", None), 200, None),
            ("CreateRoom", {"name": "math"}, token("teacher"), 403, "permission_denied"),
            ("CreateRoom", {"name": "art"}, admin("math"), 403, "permission_denied"),
            ("CreateRoom", {"name": "a b"}, None, 400, "invalid_argument"),
            ("CreateRoom", {"name": 3}, None, 400, "malformed"),
            ("CreateRoom", "x", None, 400, "malformed"),
            ("CreateRoom", [], None, 400, "malformed"),
            ("DeleteRoom", {"room": "math"}, token("teacher"), 403, "permission_denied"),
            ("ListParticipants", {"room": "math"}, None, 404, "not_found"),
            ("ListParticipants", {"room": "math"}, admin("art"), 403, "permission_denied"),
            ("UpdateRoomMetadata", {"room": "math"}, token("school"), 403, "permission_denied"),
            ("SendData", {"room": "math", "data": 3}, None, 400, "malformed"),
            ("Nothing", {}, None, 404, "bad_route"),
        ],
    )
    async def test_each_in_twirps_words(
        self, office: Office, method: str, wish: Any, bearer: str, status: int, code: str | None
    ) -> None:
        answered, body = await office.ask(method, wish, bearer)
        assert (answered, body.get("code")) == (status, code)
        if code is not None:
            assert body["msg"].endswith(".")

    async def test_without_a_token_or_with_a_cookie(self, office: Office) -> None:
        for headers in ({}, {"Cookie": f"tongbu_token={admin()}"}):
            response = await office.client.post(
                "/twirp/livekit.RoomService/ListRooms", json={}, headers=headers
            )
            assert response.status == 401

    async def test_other_methods_and_types(self, office: Office) -> None:
        response = await office.client.get("/twirp/livekit.RoomService/ListRooms")
        assert (response.status, (await response.json())["code"]) == (404, "bad_route")
        status, error = await office.ask("ListRooms", {}, **{"Content-Type": "text/plain"})
        assert (status, error["code"]) == (404, "bad_route")

    @pytest.mark.parametrize("body", [b"\xff\xff\xff", b"{" * 60_000, b"x" * 100_000])
    async def test_junk(self, office: Office, body: bytes) -> None:
        for kind in ("protobuf", "json"):
            response = await office.client.post(
                "/twirp/livekit.RoomService/SendData",
                data=body,
                headers={
                    "Content-Type": f"application/{kind}",
                    "Authorization": f"Bearer {admin()}",
                },
            )
            assert (response.status, (await response.json())["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    ("was", "wanted", "sources", "role"),
    [
        (Role.SCHOOL, {"can_publish": True}, SOURCES, Role.ASSISTANT),
        (Role.ASSISTANT, {"can_publish": False}, frozenset(), Role.SCHOOL),
        (Role.ASSISTANT, {"hidden": True}, frozenset(), Role.OBSERVER),
        (Role.TEACHER, {"can_publish": False}, frozenset(), None),
        (Role.RECORDER, {"can_subscribe": True}, frozenset(), Role.RECORDER),
        (
            Role.SCHOOL,
            {"can_publish": True, "can_publish_sources": [models.SCREEN_SHARE]},
            frozenset({"slides"}),
            Role.ASSISTANT,
        ),
    ],
)
def test_what_a_permission_means(
    was: Role, wanted: dict[str, Any], sources: frozenset[str], role: Role | None
) -> None:
    event = permit(Member("s", "x", was), models.ParticipantPermission(**wanted))
    assert (event.by, event.session, event.role) == (None, "s", role)
    assert event.grants == Grants(
        publish=sources,
        subscribe=wanted.get("can_subscribe", False),
        data=False,
        hidden=wanted.get("hidden", False),
    )
