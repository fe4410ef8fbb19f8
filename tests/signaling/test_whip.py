"""WHIP over real HTTP; the media plane is a double, the DTLS handshake is real."""

import re

import pytest

from signaling.config import IceServer, NodeConfig, load
from signaling.desk import SILENT_AFTER
from tests import fake_media
from tests.signaling.conftest import House, Peer, offer, token

FRAGMENT = "application/trickle-ice-sdpfrag"


async def test_created_with_answer_location_and_etag(house: House) -> None:
    response = await house.post("/math/whip", offer("chromium_publish"), token("teacher"))
    assert response.status == 201
    assert response.content_type == "application/sdp"
    assert response.headers["Location"].startswith("/math/whip/")
    assert response.headers["ETag"].startswith('"')
    answer = await response.text()
    assert "a=recvonly" in answer
    assert "a=candidate:1 1 udp 2130706431 192.0.2.7 40000 typ host" in answer
    tcp = r"a=candidate:\d+ 1 tcp \d+ 192\.0\.2\.7 40100 typ host tcptype passive\r"
    assert re.search(tcp, answer)


async def test_a_unicode_lesson_has_an_ascii_location(house: House) -> None:
    peer = await house.join("/数学-1/whip", offer("obs_publish"), token("teacher", "数学-1"))
    assert peer.location.startswith("/%E6%95%B0%E5%AD%A6-1/whip/")
    assert (await house.client.delete(peer.location)).status == 200


async def test_the_lesson_starts_when_the_teacher_is_connected(house: House) -> None:
    bearer = token("teacher")
    peer = await house.join("/math/whip", offer("chromium_publish"), bearer)
    assert house.native.journals == {}
    await peer.connect()
    assert [event["type"] for event in house.journal()] == [
        "lesson_started",
        "member_joined",
        "track_published",
        "track_published",
        "track_published",
    ]
    (journal,) = house.native.journals.values()
    assert sorted(journal.tracks) == [1, 2, 3]
    (live,) = await house.lessons()
    assert journal.directory.parts[-2:] == (live["id"], "journal")
    assert live["lesson"] == "math"
    assert live["recording"] == "ok"
    assert live["tracks"] == []  # nothing flows yet


async def test_tracks_are_recorded_before_the_teacher_can_send(house: House) -> None:
    peer = await house.join("/math/whip", offer("chromium_publish"), token("teacher"))
    sent_at_start: list[int] = []
    journal_event = house.native.journal_event

    def spy(journal: int, text: str) -> None:
        sent_at_start.append(len(house.native.told("send_dtls")))
        journal_event(journal, text)

    house.native.journal_event = spy  # type: ignore[method-assign]
    await peer.connect()
    flights = len(house.native.told("send_dtls"))
    assert sent_at_start
    assert max(sent_at_start) < flights  # the last flight left after the journal was ready


async def test_a_flowing_track_is_listed(house: House) -> None:
    teacher = await house.teach()
    await teacher.say(fake_media.StreamStarted(house.uptrack("1"), "f", 77))
    (live,) = await house.lessons()
    assert live["tracks"] == [{"kind": "video", "source": "camera", "codec": "H264"}]


async def test_the_negotiated_codec_reaches_the_engine(house: House) -> None:
    await house.teach()
    camera = house.native.uptracks[house.uptrack("1")]
    assert (camera.codec.name, camera.codec.payload_type) == ("H264", 109)
    assert camera.codec.rtx_payload_type == 114
    assert camera.codec.nack
    assert camera.rids == ("q", "h", "f")
    assert house.native.uptracks[house.uptrack("2")].ssrcs == (2231627014, 632943048)


async def test_delete_ends_the_lesson(house: House) -> None:
    teacher = await house.teach()
    response = await house.client.delete(teacher.location)
    assert response.status == 200
    assert house.journal()[-1] == {"type": "lesson_ended", "reason": "teacher"}
    assert await house.lessons() == []
    assert (await house.client.delete(teacher.location)).status == 404


async def test_a_second_teacher_is_409(house: House) -> None:
    await house.teach()
    for identity in ("wang", "li"):
        bearer = token("teacher", identity=identity)
        response = await house.post("/math/whip", offer("chromium_publish"), bearer)
        assert response.status == 409
        assert (await response.json())["error"] == "This lesson has a teacher already."
    assert len(house.native.peers) == 1


async def test_an_assistants_encoder_comes_beside_the_teachers(house: House) -> None:
    await house.teach()
    bearer = token("assistant", identity="li", attributes={"role": "assistant"})
    second = await house.join("/math/whip", offer("obs_publish"), bearer)
    await second.connect()
    published = [e["role"] for e in house.journal() if e["type"] == "track_published"]
    assert published == [*["teacher"] * 3, *["assistant"] * 2]
    await house.client.delete(second.location)
    assert len(await house.lessons()) == 1  # it was not the teacher who left


async def test_a_silent_teacher_is_replaced_by_itself(house: House) -> None:
    first = await house.teach()
    house.age("math", SILENT_AFTER)
    own = list(house.native.uptracks)
    house.native.uptrack_stats = [{"id": n, "idle_ms": SILENT_AFTER * 1000} for n in own]
    second = await house.teach()
    assert first.id not in house.native.peers
    assert second.id in house.native.peers
    assert "lesson_ended" not in [event["type"] for event in house.journal()]
    published = [e["track"] for e in house.journal() if e["type"] == "track_published"]
    assert published == [1, 2, 3, 4, 5, 6]


async def test_a_teacher_who_never_connected_is_replaced_after_a_while(house: House) -> None:
    dead = await house.join("/math/whip", offer("chromium_publish"), token("teacher"))
    response = await house.post("/math/whip", offer("chromium_publish"), token("teacher"))
    assert response.status == 409
    house.age("math", SILENT_AFTER)
    await house.teach()
    assert dead.id not in house.native.peers


async def test_a_teacher_who_sends_is_not_replaced(house: House) -> None:
    await house.teach()
    house.age("math", SILENT_AFTER)
    house.native.uptrack_stats = [{"id": house.uptrack("1"), "idle_ms": 20}]
    response = await house.post("/math/whip", offer("chromium_publish"), token("teacher"))
    assert response.status == 409


async def test_a_lost_teacher_comes_back_into_the_same_lesson(house: House) -> None:
    teacher = await house.teach()
    (before,) = await house.lessons()
    await teacher.say(fake_media.ConsentLost(teacher.id))
    (during,) = await house.lessons()
    assert during["id"] == before["id"]
    stranger = token("teacher", identity="li")
    assert (await house.post("/math/whip", offer("obs_publish"), stranger)).status == 409
    (during,) = await house.lessons()  # the refused stranger did not end it
    await house.teach()
    (after,) = await house.lessons()
    assert after["id"] == before["id"]


async def test_a_teacher_whose_offer_is_useless_opens_no_lesson(house: House) -> None:
    useless = offer("obs_publish").replace("opus", "nix").replace("H264", "nix")
    response = await house.post("/math/whip", useless, token("teacher"))
    assert response.status == 400
    assert await house.lessons() == []
    assert house.native.peers == {}


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("hello", "application/sdp", 400),
        ("", "application/sdp", 400),
        ("v=0\r\n", "application/sdp", 400),
        ("v=0\r\n" + "a=x\r\n" * 20000, "application/sdp", 413),
        ("v=0\r\n", "text/plain", 415),
        ("v=0\r\n", "application/json", 415),
    ],
)
async def test_a_bad_body_is_refused_in_one_sentence(
    house: House, body: str, content_type: str, status: int
) -> None:
    response = await house.post("/math/whip", body, token("teacher"), content_type)
    assert response.status == status
    sentence = (await response.json())["error"]
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_body_that_is_no_text_is_400(house: House) -> None:
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {token('teacher')}"}
    response = await house.client.post("/math/whip", data=b"v=0\xff\xfe", headers=headers)
    assert response.status == 400


async def test_tokens(house: House) -> None:
    text = offer("obs_publish")
    for bearer in (None, "garbage", token("teacher", ttl=-60)):
        response = await house.post("/math/whip", text, bearer)
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    for bearer in (token("school"), token("teacher", "art"), token("archivist", None)):
        assert (await house.post("/math/whip", text, bearer)).status == 403


async def test_a_cookie_does_not_open_a_lesson(house: House) -> None:
    headers = {"Content-Type": "application/sdp", "Cookie": f"tongbu_token={token('teacher')}"}
    response = await house.client.post("/math/whip", data=offer("obs_publish"), headers=headers)
    assert response.status == 401


async def test_odd_names_and_methods(house: House) -> None:
    assert (await house.post("/a b/whip", "", token("teacher"))).status == 404
    assert (await house.post(f"/{'x' * 65}/whip", "", token("teacher"))).status == 404
    response = await house.client.get("/math/whip")
    assert response.status == 405
    assert "POST" in response.headers["Allow"]
    assert (await house.client.delete("/math/whip/nothing")).status == 404


async def test_a_session_is_not_read_or_replaced(house: House) -> None:
    teacher = await house.teach()
    for path in ("/math/whip", "/math/whep", teacher.location):
        for method in ("GET", "HEAD", "PUT"):
            response = await house.client.request(method, path)
            assert response.status == 405, (method, path)


class TestIceServers:
    @pytest.fixture
    def config(self) -> NodeConfig:
        plain = load(None, dev=True)
        servers = (
            IceServer(urls=("stun:stun.school.example",)),
            IceServer(
                urls=("turn:turn.school.example?transport=udp", "turns:turn.school.example"),
                username="me",
                credential="word",
            ),
        )
        return plain.model_copy(
            update={"rtc": plain.rtc.model_copy(update={"ice_servers": servers})}
        )

    async def test_clients_are_told_of_those_that_are_configured(self, house: House) -> None:
        response = await house.post("/math/whip", offer("obs_publish"), token("teacher"))
        proof = 'username="me"; credential="word"; credential-type="password"'
        assert response.headers.getall("Link") == [
            '<stun:stun.school.example>; rel="ice-server"',
            f'<turn:turn.school.example?transport=udp>; rel="ice-server"; {proof}',
            f'<turns:turn.school.example>; rel="ice-server"; {proof}',
        ]


async def test_without_ice_servers_none_is_named(house: House) -> None:
    response = await house.post("/math/whip", offer("obs_publish"), token("teacher"))
    assert "Link" not in response.headers
    assert response.headers["Accept-Patch"] == FRAGMENT


async def test_preflight(house: House) -> None:
    for path in ("/math/whip", "/math/whip/some-session", "/math/whep"):
        response = await house.client.options(path)
        assert response.status == 204
        assert response.headers["Accept-Post"] == "application/sdp"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "If-Match" in response.headers["Access-Control-Allow-Headers"]
        assert "DELETE" in response.headers["Access-Control-Allow-Methods"]


async def test_browsers_may_read_what_they_need(house: House) -> None:
    response = await house.post("/math/whip", offer("obs_publish"), token("teacher"))
    exposed = response.headers["Access-Control-Expose-Headers"]
    assert {"Location", "ETag", "Link"} <= set(exposed.replace(" ", "").split(","))


# --- PATCH


async def patch(house: House, peer: Peer, body: str, **headers: str) -> tuple[int, str, str | None]:
    headers = {"Content-Type": FRAGMENT, **{k.replace("_", "-"): v for k, v in headers.items()}}
    response = await house.client.patch(peer.location, data=body.encode(), headers=headers)
    return response.status, await response.text(), response.headers.get("ETag")


RESTART = "a=ice-ufrag:new1\r\na=ice-pwd:newpasswordnewpasswordne\r\n"


async def test_trickle_is_taken_and_not_needed(house: House) -> None:
    peer = await house.join("/math/whip", offer("obs_publish"), token("teacher"))
    candidate = "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n"
    assert await patch(house, peer, candidate, If_Match=peer.etag) == (204, "", None)
    same = "a=ice-ufrag:mmRg\r\na=ice-pwd:9oUqYDqOeLrGbPJx4b2sTm\r\n" + candidate
    assert (await patch(house, peer, same, If_Match=peer.etag))[0] == 204
    assert house.native.told("rotate_credentials") == []


@pytest.mark.parametrize("any_session", [True, False])
async def test_an_ice_restart_gets_new_credentials(house: House, any_session: bool) -> None:
    peer = await house.join("/math/whip", offer("obs_publish"), token("teacher"))
    condition = "*" if any_session else peer.etag
    status, body, etag = await patch(house, peer, RESTART, If_Match=condition)
    assert status == 200
    assert etag not in (None, peer.etag)
    ((_, ufrag, pwd),) = house.native.told("rotate_credentials")
    assert f"a=ice-ufrag:{ufrag}\r\n" in body
    assert f"a=ice-pwd:{pwd}\r\n" in body
    assert "a=candidate:" in body
    assert (await patch(house, peer, RESTART, If_Match=peer.etag))[0] == 412


async def test_patch_conditions(house: House) -> None:
    peer = await house.join("/math/whip", offer("obs_publish"), token("teacher"))
    assert (await patch(house, peer, RESTART))[0] == 428
    assert (await patch(house, peer, RESTART, If_Match='"other"'))[0] == 412
    assert (await patch(house, peer, "hello", If_Match=peer.etag))[0] == 400
    assert (await patch(house, peer, "a=x:" + "y" * 70000, If_Match=peer.etag))[0] == 413
    wrong_type = {"If_Match": peer.etag, "Content_Type": "application/sdp"}
    assert (await patch(house, peer, RESTART, **wrong_type))[0] == 415
    peer.location = "/math/whip/nothing"
    assert (await patch(house, peer, RESTART, If_Match="*"))[0] == 404


async def test_ffmpeg_lets_us_open_the_handshake(house: House) -> None:
    peer = await house.join("/math/whip", offer("ffmpeg_publish"), token("teacher"))
    assert "a=setup:active" in peer.answer
    await peer.connect()
    assert house.journal()[0]["type"] == "lesson_started"
