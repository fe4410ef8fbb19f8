import socket

import pytest

from clients.headless.errors import EndpointError
from clients.headless.whip import Endpoint, negotiate, peer_connection, with_slides
from tests.clients.responder import TOKEN, Responder


@pytest.mark.parametrize(
    ("lesson", "token", "status", "sentence"),
    [
        ("math", None, 401, r"asks for a valid token: pass --token, or make one with"),
        ("math", "wrong", 401, r"asks for a valid token"),
        ("forbidden", TOKEN, 403, r"does not allow this with your token\.$"),
        ("unknown", TOKEN, 404, r"does not know this address; it should end in"),
        ("taken", TOKEN, 409, r"is in use: this lesson has a teacher already\.$"),
        ("silent", TOKEN, 409, r"has no lesson in progress; try again in 3 s\.$"),
        ("broken", TOKEN, 500, r"refused with 500: engine on fire$"),
        ("elsewhere", TOKEN, 201, r"answered without a Location header\.$"),
    ],
)
async def test_a_refusal_is_one_sentence(
    responder: Responder, lesson: str, token: str | None, status: int, sentence: str
):
    async with Endpoint(f"{responder.address}/{lesson}/whip", token) as endpoint:
        with pytest.raises(EndpointError, match=sentence) as refused:
            await endpoint.open("v=0\r\n")
    assert refused.value.status == status
    assert refused.value.exit_code == 2
    assert "\n" not in refused.value.message


async def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/math/whip"
        async with Endpoint(url) as endpoint:
            with pytest.raises(EndpointError, match=r"^Nobody answers at http://127"):
                await endpoint.open("v=0\r\n")


@pytest.mark.parametrize("url", ["math", "ws://127.0.0.1/math/whip", "/math/whip"])
def test_an_address_must_be_http(url: str):
    with pytest.raises(EndpointError, match="is not an http or https address"):
        Endpoint(url)


async def test_a_session_opens_and_closes(responder: Responder):
    async with Endpoint(f"{responder.address}/math/whep", TOKEN) as endpoint:
        connection = peer_connection()
        connection.addTransceiver("audio", direction="recvonly")
        answer = await negotiate(connection, endpoint)
        assert answer.session_url == f"{responder.address}/math/whep/0"
        await endpoint.close(answer)
        assert responder.whep_deleted == 1
        await connection.close()


def test_slides_are_marked_in_their_section_only():
    offer = "m=video 9\r\na=mid:1\r\nm=video 9\r\na=mid:2\r\na=sendonly\r\n"
    assert with_slides(offer, "2") == offer.replace(
        "a=mid:2\r\n", "a=mid:2\r\na=content:slides\r\n"
    )
    assert with_slides(offer, None) == offer
