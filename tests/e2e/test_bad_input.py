"""Malformed and hostile input over real sockets: refused, counted, and no harm to a lesson."""

import os
import random
import re
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from aioice import stun

from clients.headless.api import Api
from clients.headless.node import Node
from clients.headless.whip import peer_connection
from tests.e2e.classroom import breaks, teaching, watching

DATAGRAMS = 3000


async def node_address(node: Node) -> tuple[str, int]:
    """Where the node takes media: from the candidates of an answer."""
    async with Api(node.url) as api:
        token = await api.become("teacher", "probe")
    connection = peer_connection()
    connection.addTransceiver("audio", direction="sendonly")
    await connection.setLocalDescription(await connection.createOffer())
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    async with aiohttp.ClientSession(headers=headers) as http:
        offer = connection.localDescription.sdp
        async with http.post(f"{node.url}/probe/whip", data=offer) as response:
            answer, location = await response.text(), response.headers["Location"]
        async with http.delete(node.url + location) as response:
            assert response.status == 200
    await connection.close()
    candidate = re.search(r"a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+)", answer, re.IGNORECASE)
    assert candidate, answer
    return candidate[1], int(candidate[2])


def impostor(answer: str) -> bytes:
    """A STUN check that knows a member's name and not the password, and wants to be nominated."""
    ufrag = re.search(r"a=ice-ufrag:(\S+)", answer)
    assert ufrag
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{ufrag[1]}:else"
    request.attributes["PRIORITY"] = 1
    request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity(b"not the password")
    return bytes(request)


def hostile(seed: int) -> list[bytes]:
    """Datagrams that are wrong in every way a demultiplexer has (RFC 7983)."""
    chance = random.Random(seed)

    def noise(length: int) -> bytes:
        return chance.randbytes(length)

    stun = b"\x00\x01\x00\x24\x21\x12\xa4\x42" + noise(12)
    wrong_user = stun + b"\x00\x06\x00\x09wrong:one\0\0\0" + b"\x00\x08\x00\x14" + noise(20)
    return [
        b"",
        noise(1),
        stun,  # shorter than it says
        wrong_user,
        stun[:4] + noise(1000),
        b"\x16\xfe\xfd" + noise(10),  # a truncated DTLS handshake
        b"\x17\xfe\xfd" + noise(1400),
        b"\x80\x66" + noise(chance.randrange(0, 1400)),  # RTP of nobody
        b"\x9f\x66" + noise(3),  # truncated, with CSRCs and an extension announced
        b"\x80\xc8" + noise(chance.randrange(0, 200)),  # RTCP
        b"\x81\xce\xff\xff" + noise(8),  # RTCP that is longer than its datagram
        noise(chance.randrange(1, 1500)),
    ]


async def test_garbage_does_not_disturb_a_lesson(node: Node, lesson_clip: Path):
    address = await node_address(node)
    async with teaching(node.url, "math", lesson_clip), watching(node.url, "math") as pupil:
        await pupil.sees(15)
        lines = len(node.log)
        forged = impostor(pupil.school.connection.remoteDescription.sdp)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
            for round_number in range(DATAGRAMS // 12):
                for datagram in [forged, *hostile(round_number)]:
                    attacker.sendto(datagram, address)
                if round_number % 20 == 0:
                    await pupil.sees(len(pupil.numbers) + 1)
        await pupil.sees(len(pupil.numbers) + 45)
        report = await pupil.school.measure()
        async with Api(node.url) as api:
            await api.become("teacher", "math")
            shard = (await api.stats())["shards"][0]
    assert breaks(pupil.numbers) == []
    assert report.lost == 0
    assert shard["dropped_malformed"] > 0
    assert shard["dropped_unauthentic"] >= DATAGRAMS // 12
    assert len(node.log) - lines < 20, "a line of log per packet"


async def _post(node: Node, path: str, body: bytes, token: str | None) -> tuple[int, str]:
    headers = {"Content-Type": "application/sdp"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(node.url + path, data=body) as response,
    ):
        return response.status, await response.text()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"hello", 400),
        (b"v=0\r\nm=video", 400),
        (b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF\r\na=mid:0\r\n", 400),
        (b"\xff\xfe\x00garbage", 400),
        (b"v=0\r\n" + b"a=x:y\r\n" * 100_000, 413),
    ],
)
async def test_a_malformed_offer_is_refused_in_one_sentence(node: Node, body: bytes, status: int):
    async with Api(node.url) as api:
        token = await api.become("teacher", "math")
    got, said = await _post(node, "/math/whip", body, token)
    assert got == status
    assert "Traceback" not in said


async def test_tokens_are_looked_at(node: Node):
    async with Api(node.url) as api:
        school = await api.become("school", "math")
        elsewhere = await api.become("teacher", "art")
    assert (await _post(node, "/math/whip", b"v=0", None))[0] == 401
    assert (await _post(node, "/math/whip", b"v=0", "a.b.c"))[0] == 401
    assert (await _post(node, "/math/whip", b"v=0", school))[0] == 403
    assert (await _post(node, "/math/whip", b"v=0", elsewhere))[0] == 403


def serve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "signaling.cli", "serve", "--dev", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def assert_one_sentence(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.strip().count("\n") == 0
    assert "Traceback" not in result.stderr


def test_a_taken_port(tmp_path: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = serve("--port", str(port), TONGBU_DATA_DIR=str(tmp_path), TONGBU_RTC__UDP_PORT="0")
    assert_one_sentence(result)
    assert str(port) in result.stderr


def test_a_taken_udp_port(tmp_path: Path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 0))
        port = str(other.getsockname()[1])
        result = serve("--port", "0", TONGBU_DATA_DIR=str(tmp_path), TONGBU_RTC__UDP_PORT=port)
    assert_one_sentence(result)
    assert port in result.stderr


def test_a_data_folder_that_cannot_be(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    result = serve("--port", "0", TONGBU_DATA_DIR=str(tmp_path / "file" / "data"))
    assert_one_sentence(result)
    assert "file" in result.stderr


def test_an_unknown_key(tmp_path: Path):
    config = tmp_path / "tongbu.yaml"
    config.write_text("rtc:\n  udp_prt: 7000\n")
    result = serve("--port", "0", "--config", str(config))
    assert_one_sentence(result)
    assert "udp_prt" in result.stderr
    assert "udp_port" in result.stderr
