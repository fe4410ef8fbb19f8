"""The layer extension of WHEP, over HTTP."""

from typing import Any

import pytest

from tests import fake_media
from tests.signaling.conftest import House, Peer, offer, token

RATES = [(0, 0, 0, 1_400_000), (1, 0, 0, 400_000), (2, 0, 0, 120_000)]
RELATION = "urn:ietf:params:whep:ext:core:layer"


def simulcast() -> str:
    """OBS 32.1 with three renditions: RIDs by number, the best first, the SSRC of one of them."""
    head, video = offer("obs_publish").split("m=video")
    extensions = (
        "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
        "a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
    )
    rids = "".join(f"a=rid:{rid} send\r\n" for rid in (0, 1, 2))
    return f"{head}m=video{video.rstrip()}\r\n{extensions}{rids}a=simulcast:send 0;1;2\r\n"


@pytest.fixture
async def school(house: House) -> Peer:
    teacher = await house.join("/math/whip", simulcast(), token("teacher"))
    await teacher.connect()
    school = await house.watch()
    await teacher.say(
        fake_media.LayersChanged(house.uptrack("1"), RATES),
        fake_media.LinkChanged(school.id, 9_000_000),
    )
    return school


async def ask(house: House, peer: Peer, wish: object = None) -> tuple[int, Any]:
    path = f"{peer.location}/layers"
    asked = house.client.get(path) if wish is None else house.client.post(path, json=wish)
    response = await asked
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    return response.status, await response.json()


async def test_obs_simulcast_is_taken_as_it_is_offered(house: House) -> None:
    peer = await house.join("/math/whip", simulcast(), token("teacher"))
    for line in ("a=rid:0 recv", "a=rid:1 recv", "a=rid:2 recv", "a=simulcast:recv 0;1;2"):
        assert line in peer.answer
    assert "a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id" in peer.answer
    assert house.native.uptracks[house.uptrack("1")].rids == ("0", "1", "2")


async def test_a_viewer_sees_what_it_can_choose_from(house: House, school: Peer) -> None:
    status, layers = await ask(house, school)
    assert status == 200
    assert [layer["encodingId"] for layer in layers["1"]["layers"]] == ["2", "1", "0"]
    assert layers["1"]["layers"][0] == {
        "encodingId": "2",
        "spatialLayerId": 0,
        "temporalLayerId": 0,
        "bitrate": 120_000,
    }
    assert layers["1"]["source"] == "camera"
    assert layers["2"] == {"source": None, "layers": []}  # no slides yet


async def test_a_viewer_gets_the_quality_it_chooses(house: House, school: Peer) -> None:
    camera = house.downtrack("1")
    assert (await ask(house, school, {"mediaId": "1", "encodingId": "1"}))[0] == 200
    assert house.native.told("set_limit")[-1] == (camera, 1, 0, 0)
    assert (await ask(house, school, {"encodingId": "2"}))[0] == 200  # the first video is meant
    assert house.native.told("set_limit")[-1] == (camera, 2, 0, 0)


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"mediaId": "9"}, 404),
        ({"mediaId": "0", "encodingId": "0"}, 404),  # sound has no layers
        ({"encodingId": "q"}, 404),
        ({"mediaId": "2", "encodingId": "0"}, 404),  # nothing is shown there
        ({"spatialLayerId": "high"}, 400),
        ({"maxTemporalLayerId": -1}, 400),
        ({"maxTemporalLayerId": True}, 400),
        ([], 400),
    ],
)
async def test_a_wish_that_makes_no_sense(
    house: House, school: Peer, wish: object, status: int
) -> None:
    answered, body = await ask(house, school, wish)
    assert answered == status
    assert body["error"].endswith((".", ")."))
    assert (await ask(house, school))[0] == 200


async def test_the_link_header_says_where(house: House) -> None:
    await house.teach()
    response = await house.post("/math/whep", offer("chromium_watch"), token("school"))
    where = f"{response.headers['Location']}/layers"
    assert response.headers.getall("Link") == [f'<{where}>; rel="{RELATION}"']
    preflight = await house.client.options(where)
    assert preflight.status == 204
    assert preflight.headers["Accept-Post"] == "application/json"
    assert "GET" in preflight.headers["Access-Control-Allow-Methods"]


async def test_there_is_none_for_publishers_and_strangers(house: House) -> None:
    teacher = await house.teach()
    assert (await house.client.get(f"{teacher.location}/layers")).status == 404
    assert (await house.client.get("/math/whep/nobody/layers")).status == 404
