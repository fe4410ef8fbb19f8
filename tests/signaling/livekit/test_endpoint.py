"""Who comes in by LiveKit's door, and who does not."""

import logging
from collections.abc import Callable

import pytest
from aiohttp import WSServerHandshakeError, web
from aiohttp.test_utils import make_mocked_request
from livekit.protocol import models, rtc

from signaling.edge import AccessLog
from signaling.livekit import session as sessions
from signaling.livekit.wire import MAX_MESSAGE
from tests.signaling.conftest import House, token
from tests.signaling.livekit.client import Client

RECONNECT = rtc.LeaveRequest.RECONNECT
DISCONNECT = rtc.LeaveRequest.DISCONNECT


@pytest.mark.parametrize("path", ["/rtc/validate", "/rtc/v1/validate"])
async def test_a_browser_may_ask_why_it_is_refused(house: House, path: str) -> None:
    good = await house.client.get(path, params={"access_token": token("school")})
    assert (good.status, await good.text()) == (200, "success")
    assert good.headers["Access-Control-Allow-Origin"] == "*"
    expired = await house.client.get(path, params={"access_token": token("school", ttl=-60)})
    assert expired.status == 401
    assert expired.headers["Access-Control-Allow-Origin"] == "*"
    assert "expired" in (await expired.json())["error"]
    assert (await house.client.get(path)).status == 401


@pytest.mark.parametrize(
    ("bearer", "status"),
    [
        (lambda: "none", 401),
        (lambda: "x.y.z", 401),
        (lambda: token("school", ttl=-60), 401),
        (lambda: token("archivist", lesson=None), 403),
        (lambda: token("school", lesson="../etc"), 403),
    ],
)
@pytest.mark.parametrize("path", ["/rtc", "/rtc/v1"])
async def test_who_has_no_token_for_a_lesson_stays_outside(
    house: House, path: str, bearer: Callable[[], str], status: int
) -> None:
    with pytest.raises(WSServerHandshakeError) as refusal:
        await Client(house, "eve", path=path).connect(bearer())
    assert refusal.value.status == status
    assert house.native.peers == {}


async def test_a_malformed_wish_is_refused(house: House) -> None:
    headers = {"Authorization": f"Bearer {token('school')}"}
    for query in ("", "?join_request=%FF", "?join_request=AAAA!"):
        response = await house.client.get(f"/rtc/v1{query}", headers=headers)
        assert response.status == 400, query
    plain = await house.client.get("/rtc", headers=headers)
    assert plain.status == 426
    assert house.native.peers == {}


@pytest.mark.parametrize("path", ["/rtc", "/rtc/v1"])
async def test_the_first_word_is_who_and_what_is_here(house: House, path: str) -> None:
    async with Client(house, "anna", path=path) as anna:
        join = await anna.hear("join")
        assert anna.heard[0].WhichOneof("message") == "join"
        assert join.room.name == "math"
        assert join.room.sid.startswith("RM_")
        assert join.participant.identity == "anna"
        assert join.participant.sid.startswith("PA_")
        assert join.ping_interval > 0
        assert join.ping_timeout > 0
        assert join.subscriber_primary is (path == "/rtc")
        trailer = join.sif_trailer
        assert len(trailer) == 16
        async with Client(house, "bob", "school", path=path) as bob:
            join = await bob.hear("join")
            assert [info.identity for info in join.other_participants] == ["anna"]
            assert join.sif_trailer == trailer  # one lesson's, and of no other
        carl = Client(house, "carl", path=path)
        await carl.connect(token("assistant", lesson="physics", identity="carl"))
        assert (await carl.hear("join")).sif_trailer != trailer
        await carl.socket.close()


async def test_a_lesson_whose_first_member_is_refused_is_forgotten(house: House) -> None:
    async with Client(house, "anna") as anna:
        await anna.hear("join")
        await anna.say(leave=rtc.LeaveRequest())
        await anna.hear_closed()
    bad = rtc.SessionDescription(type="offer", sdp="no sdp")
    with pytest.raises(WSServerHandshakeError) as refusal:
        await Client(house, "eve").connect(publisher_offer=bad)
    assert refusal.value.status == 400
    assert house.native.peers == {}


async def test_a_newcomer_of_the_same_name_takes_the_seat(house: House) -> None:
    async with Client(house, "anna") as first, Client(house, "anna") as second:
        await second.hear("join")
        leave = await first.hear("leave")
        assert leave.reason == models.DUPLICATE_IDENTITY
        assert leave.action == DISCONNECT
        await first.hear_closed()
        assert len(house.native.peers) == 1


async def test_who_says_goodbye_is_gone(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob", "school") as bob:
        await anna.hear("join")
        await bob.hear("join")
        await bob.say(leave=rtc.LeaveRequest())
        await bob.hear_closed()
        while (await anna.hear("update")).participants[
            0
        ].state != models.ParticipantInfo.DISCONNECTED:
            pass
        assert len(house.native.peers) == 1


async def test_a_ping_is_answered_in_both_ways(house: House) -> None:
    async with Client(house, "anna") as anna:
        await anna.say(ping=5)
        assert await anna.hear("pong") > 0
        await anna.say(ping_req=rtc.Ping(timestamp=77))
        assert (await anna.hear("pong_resp")).last_ping_timestamp == 77


async def test_a_flood_is_ended_with_a_reason(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob") as bob:
        for _ in range(sessions.BURST + 100):
            await anna.say(trickle=rtc.TrickleRequest(candidateInit="{}"))
        leave = await anna.hear("leave")
        assert leave.reason == models.SIGNAL_CLOSE
        await anna.hear_closed()
        await bob.say(ping=1)
        await bob.hear("pong")


@pytest.mark.parametrize("raw", [b"\xff" * 10, b"\x0a\xff\xff"])
async def test_what_is_no_message_ends_the_session(house: House, raw: bytes) -> None:
    async with Client(house, "anna") as anna:
        await anna.socket.send_bytes(raw)
        assert (await anna.hear("leave")).reason == models.STATE_MISMATCH
        await anna.hear_closed()
        assert house.native.peers == {}


async def test_text_and_what_is_too_large_close_the_socket(house: House) -> None:
    async with Client(house, "anna") as anna:
        await anna.socket.send_str("{}")
        assert await anna.hear_closed() == 1003
    async with Client(house, "bob") as bob:
        await bob.socket.send_bytes(b"x" * (MAX_MESSAGE + 1))
        assert await bob.hear_closed() == 1009


@pytest.mark.parametrize("sdp", ["", "v=0", "v=0\r\nm=video 9 X 96\r\n" * 200, "v=0\r\n" * 150_000])
async def test_an_offer_that_cannot_be_answered_ends_the_session(house: House, sdp: str) -> None:
    async with Client(house, "anna") as anna:
        await anna.say(offer=rtc.SessionDescription(type="offer", sdp=sdp))
        if len(sdp) > MAX_MESSAGE:
            assert await anna.hear_closed() == 1009
            return
        assert (await anna.hear("leave")).reason == models.MEDIA_FAILURE
        await anna.hear_closed()


@pytest.mark.parametrize("path", ["/rtc", "/rtc/v1"])
async def test_who_comes_back_in_time_is_the_same(house: House, path: str) -> None:
    anna = Client(house, "anna", path=path)
    await anna.connect()
    sid = (await anna.hear("join")).participant.sid
    await anna.socket.close()
    async with Client(house, "bob", "school") as bob:
        others = (await bob.hear("join")).other_participants
        assert [info.sid for info in others] == [sid], "it is still here"
        wishes = (
            {"reconnect": 1, "sid": sid}
            if path == "/rtc"
            else {"reconnect": True, "participant_sid": sid}
        )
        await anna.connect(**wishes)
        anna.heard.clear()
        await anna.hear("reconnect")
        assert anna.heard[0].WhichOneof("message") == "reconnect"
        told = {info.identity for info in (await anna.hear("update")).participants}
        assert "anna" in told
        await anna.say(ping=1)
        await anna.hear("pong")
        await anna.socket.close()


async def test_a_stolen_sid_opens_nothing(house: House) -> None:
    async with Client(house, "anna") as anna:
        sid = (await anna.hear("join")).participant.sid
        for bearer in (token("teacher", identity="eve"), token("assistant", "other", "anna")):
            eve = Client(house, "eve")
            await eve.connect(bearer, reconnect=True, participant_sid=sid)
            leave = await eve.hear("leave")
            assert (leave.reason, leave.action) == (models.STATE_MISMATCH, RECONNECT)
            await eve.hear_closed()
            assert [m.WhichOneof("message") for m in eve.heard] == ["leave"]
        await anna.say(ping=1)
        await anna.hear("pong")


async def test_who_does_not_come_back_is_gone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "RESUME_WINDOW", 0.05)
    async with Client(house, "anna") as anna:
        bob = Client(house, "bob", "school")
        await bob.connect()
        sid = (await bob.hear("join")).participant.sid
        await bob.socket.close()
        await anna.hear_gone("bob")
        assert len(house.native.peers) == 1
        await bob.connect(reconnect=True, participant_sid=sid)
        assert (await bob.hear("leave")).action == RECONNECT
        await bob.socket.close()


async def test_an_ended_lesson_tells_everybody(house: House) -> None:
    async with Client(house, "anna") as anna, Client(house, "bob", "school", "/rtc") as bob:
        await anna.hear("join")
        await bob.hear("join")
        house.registry.require("math").end("removed")
        for client in (anna, bob):
            assert (await client.hear("leave")).action == DISCONNECT
            await client.hear_closed()
        assert house.native.peers == {}


async def test_no_token_is_logged(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    # What the test server says of requests is its own; how ours says it is asked below.
    monkeypatch.setattr(logging.getLogger("aiohttp.access"), "disabled", True)
    secret = token("assistant", identity="anna")
    path = f"/rtc?access_token={secret}&auto_subscribe=1"
    async with house.client.ws_connect(path) as socket:
        await socket.receive(timeout=5)
    await house.client.get("/rtc/validate", params={"access_token": secret})
    await house.client.get("/rtc/v1", params={"access_token": secret, "join_request": "!"})
    log = AccessLog(logging.getLogger("ours"), "")
    log.log(make_mocked_request("GET", path), web.Response(status=401), 0.1)
    assert "GET /rtc 401" in caplog.text
    assert secret not in caplog.text
    assert secret.rpartition(".")[2] not in caplog.text
