"""A whole node: native media plane, real sockets, aiortc as the browser."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession
from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)

from sfu.engine import Engine
from sfu.stats import Counters, parse_stats
from signaling import desk
from signaling.config import NodeConfig, load
from signaling.errors import ConfigError
from signaling.node import Node, buffer_warning, own_addresses, own_cores, prepare_data_dir
from tests.signaling.conftest import offer, token


def configured(tmp_path: Path, **changes: object) -> NodeConfig:
    config = load(None, dev=True)
    rtc = config.rtc.model_copy(update={"udp_port": 0, "tcp_port": 0, "consent_timeout": 2.0})
    values = {"port": 0, "data_dir": tmp_path / "data", "rtc": rtc, **changes}
    return config.model_copy(update=values)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    node = await Node.start(configured(tmp_path), dev=True)
    yield node
    await node.stop()


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@dataclass
class Client:
    """An aiortc peer with a WHIP or WHEP session."""

    pc: RTCPeerConnection
    location: str
    answer: str


def connection() -> RTCPeerConnection:
    policy = RTCBundlePolicy.MAX_BUNDLE
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=policy))


async def negotiate(
    pc: RTCPeerConnection, http: ClientSession, url: str, bearer: str, *, setup: str = "actpass"
) -> Client:
    await pc.setLocalDescription(await pc.createOffer())
    offer = pc.localDescription.sdp.replace("a=setup:actpass", f"a=setup:{setup}")
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/sdp"}
    async with http.post(url, data=offer, headers=headers) as response:
        answer = await response.text()
        if response.status != 201:
            await pc.close()
        assert response.status == 201, answer
        location = response.headers["Location"]
    connected = asyncio.Event()
    pc.on("connectionstatechange", connected.set)
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    async with asyncio.timeout(10):
        while pc.connectionState != "connected":
            await connected.wait()
            connected.clear()
    return Client(pc, location, answer)


async def teach(node: Node, http: ClientSession, *, setup: str = "actpass") -> Client:
    pc = connection()
    pc.addTransceiver(AudioStreamTrack(), direction="sendonly")
    pc.addTransceiver(VideoStreamTrack(), direction="sendonly")
    pc.createDataChannel("chat")
    url = f"{node.url}/math/whip"
    return await negotiate(pc, http, url, token("teacher"), setup=setup)


async def live(node: Node, http: ClientSession) -> list[dict[str, object]]:
    async with http.get(f"{node.url}/api/lessons") as response:
        lessons: list[dict[str, object]] = await response.json()
        return lessons


async def until_flowing(node: Node, http: ClientSession) -> dict[str, object]:
    async with asyncio.timeout(10):
        while True:
            (lesson,) = await live(node, http)
            tracks = lesson["tracks"]
            assert isinstance(tracks, list)
            if len(tracks) == 2:
                return lesson


async def test_an_independent_client_teaches_and_another_watches(
    node: Node, http: ClientSession
) -> None:
    teacher = await teach(node, http)
    lesson = await until_flowing(node, http)
    assert lesson["recording"] == "ok"
    pc = connection()
    tracks: list[MediaStreamTrack] = []
    pc.on("track", tracks.append)
    pc.addTransceiver("audio", direction="recvonly")
    pc.addTransceiver("video", direction="recvonly")
    heard: asyncio.Queue[object] = asyncio.Queue()
    control = pc.createDataChannel("tongbu")
    control.on("message", heard.put_nowait)
    school = await negotiate(pc, http, f"{node.url}/math/whep", token("school"))
    async with asyncio.timeout(20):
        for track in tracks:
            for _ in range(5):
                await track.recv()
    assert sorted(track.kind for track in tracks) == ["audio", "video"]
    async with http.delete(node.url + teacher.location) as response:
        assert response.status == 200
    async with asyncio.timeout(5):
        assert await heard.get() == '{"type": "ended"}'
    await teacher.pc.close()
    await school.pc.close()
    assert await live(node, http) == []


@pytest.mark.parametrize(("offered", "answered"), [("active", "passive"), ("passive", "active")])
async def test_a_client_that_insists_on_its_dtls_role(
    node: Node, http: ClientSession, offered: str, answered: str
) -> None:
    """As FFmpeg's WHIP muxer may."""
    teacher = await teach(node, http, setup=offered)
    assert f"a=setup:{answered}" in teacher.answer
    await until_flowing(node, http)
    await teacher.pc.close()


async def test_a_reloaded_page_replaces_its_own_dead_connection(
    tmp_path: Path, http: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "SILENT_AFTER", 2.0)  # this process is both ends, and may be busy
    rtc = configured(tmp_path).rtc.model_copy(update={"consent_timeout": 30.0})
    node = await Node.start(configured(tmp_path, rtc=rtc), dev=True)
    teacher = await teach(node, http)
    lesson = await until_flowing(node, http)
    with pytest.raises(AssertionError, match="has a teacher already"):
        await teach(node, http)
    await teacher.pc.getTransceivers()[0].sender.transport.transport.stop()
    await asyncio.sleep(2.1)  # the silence itself
    again = await teach(node, http)
    assert (await until_flowing(node, http))["id"] == lesson["id"]
    await teacher.pc.close()
    await again.pc.close()
    await node.stop()


async def test_a_teacher_who_vanishes_is_noticed_and_may_return(
    node: Node, http: ClientSession
) -> None:
    teacher = await teach(node, http)
    lesson = await until_flowing(node, http)
    transport = teacher.pc.getTransceivers()[0].sender.transport
    await transport.transport.stop()  # the network is gone: no checks, no goodbye
    async with asyncio.timeout(10):
        while (await live(node, http))[0]["tracks"] != []:
            pass
    await teacher.pc.close()
    again = await teach(node, http)
    assert (await until_flowing(node, http))["id"] == lesson["id"]
    await again.pc.close()


async def test_who_hangs_up_leaves_the_queue_of_joins(tmp_path: Path, http: ClientSession) -> None:
    config = configured(tmp_path)
    join = config.join.model_copy(update={"at_once": 1})
    node = await Node.start(config.model_copy(update={"join": join}), dev=True)
    teacher = await teach(node, http)
    headers = {"Authorization": f"Bearer {token('school')}", "Content-Type": "application/sdp"}
    text = offer("chromium_watch")

    async def joins() -> dict[str, int]:
        async with http.get(f"{node.url}/api/stats") as response:
            counts: dict[str, int] = (await response.json())["joins"]
            return counts

    async with http.post(f"{node.url}/math/whep", data=text, headers=headers) as response:
        assert response.status == 201  # and nothing follows: it holds the only place
    second = asyncio.create_task(http.post(f"{node.url}/math/whep", data=text, headers=headers))
    async with asyncio.timeout(1.5):
        while (await joins())["waiting"] != 1:
            pass
        second.cancel()
        while (await joins())["abandoned"] != 1:
            pass
    assert (await joins())["waiting"] == 0
    await teacher.pc.close()
    await node.stop()


async def until_recording(node: Node, http: ClientSession) -> None:
    """The worker is a process of its own, and takes a moment to be there."""
    async with asyncio.timeout(30):
        while True:
            async with http.get(f"{node.url}/healthz") as response:
                if (await response.json())["recorder"] == "ok":
                    return


async def test_stop_is_quick_with_a_lesson_in_progress(tmp_path: Path, http: ClientSession) -> None:
    node = await Node.start(configured(tmp_path), dev=True)
    await until_recording(node, http)
    teacher = await teach(node, http)
    lesson = await until_flowing(node, http)
    began = time.monotonic()
    await node.stop()
    assert time.monotonic() - began < 3
    await node.stop()
    await teacher.pc.close()
    folder = tmp_path / "data" / "lessons" / str(lesson["id"])
    assert (folder / "journal").is_dir()
    assert (folder / "manifest.json").is_file()  # the archive is finished


async def test_a_taken_http_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"HTTP 127.0.0.1:{port} cannot be bound"):
            await Node.start(configured(tmp_path, port=port), dev=True)


async def test_a_taken_udp_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = taken.getsockname()[1]
        config = configured(tmp_path)
        config = configured(tmp_path, rtc=config.rtc.model_copy(update={"udp_port": port}))
        with pytest.raises(ConfigError, match=f"UDP 0.0.0.0:{port} cannot be bound"):
            await Node.start(config, dev=True)


async def test_a_taken_tcp_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        config = configured(tmp_path)
        config = configured(tmp_path, rtc=config.rtc.model_copy(update={"tcp_port": port}))
        with pytest.raises(ConfigError, match=f"TCP 0.0.0.0:{port} .*another rtc.tcp_port"):
            await Node.start(config, dev=True)


def consecutive_ports() -> int:
    """The first of two free UDP ports in a row."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
            contextlib.suppress(OSError, OverflowError),
        ):
            one.bind(("0.0.0.0", 0))
            port: int = one.getsockname()[1]
            two.bind(("0.0.0.0", port + 1))
            return port


def with_shards(tmp_path: Path, shards: int | str, port: int) -> NodeConfig:
    rtc = configured(tmp_path).rtc.model_copy(update={"udp_port": port, "shards": shards})
    return configured(tmp_path, rtc=rtc)


async def test_the_port_of_a_shard_that_is_taken_is_named(tmp_path: Path) -> None:
    port = consecutive_ports()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", port + 1))
        with pytest.raises(ConfigError, match=f"UDP 0.0.0.0:{port + 1} cannot be bound"):
            await Node.start(with_shards(tmp_path, 2, port), dev=True)


async def test_ports_beyond_the_last_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="need the UDP ports 65535 to 65536, and 65535 is the"):
        await Node.start(with_shards(tmp_path, 2, 65535), dev=True)


async def test_there_is_a_shard_for_each_core(tmp_path: Path, http: ClientSession) -> None:
    node = await Node.start(with_shards(tmp_path, "auto", 0), dev=True)
    async with http.get(f"{node.url}/api/stats") as response:
        shards = (await response.json())["shards"]
    assert len(shards) == own_cores() == len(os.sched_getaffinity(0))
    await node.stop()


def granted(receive: int, send: int) -> Counters:
    return {"receive_buffer_bytes": receive, "send_buffer_bytes": send}


def test_buffers_as_asked_for_need_no_words() -> None:
    assert buffer_warning(4096, [granted(4096, 4096), granted(8192, 4096)]) is None
    assert buffer_warning(4096, []) is None


def test_small_buffers_are_told_with_the_command_that_helps() -> None:
    asked = 4 * 1024 * 1024
    warning = buffer_warning(asked, [granted(212992, asked), granted(212992, asked)])
    assert warning is not None
    assert "208 KiB where 4096 KiB were asked for" in warning
    assert warning.endswith("sysctl -w net.core.rmem_max=4194304")
    both = buffer_warning(asked, [granted(212992, 425984)])
    assert both is not None
    assert both.endswith("sysctl -w net.core.rmem_max=4194304 net.core.wmem_max=4194304")


async def test_small_buffers_are_told_once_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    small = parse_stats({"shards": [granted(212992, 212992)] * 2})
    monkeypatch.setattr(Engine, "stats", lambda _: small)
    node = await Node.start(configured(tmp_path), dev=True)
    await node.stop()
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert ["sysctl -w net.core.rmem_max" in warning for warning in warnings] == [True]


def test_a_data_folder_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"is not writable .*: choose another data_dir"):
        prepare_data_dir(tmp_path / "file" / "data")


def test_loopback_is_announced_only_when_asked_for() -> None:
    assert own_addresses(loopback=True)[-1] == "127.0.0.1"
    assert own_addresses(loopback=False)


async def test_without_a_recorder_the_lesson_says_off(tmp_path: Path, http: ClientSession) -> None:
    config = configured(tmp_path)
    recorder = config.recorder.model_copy(update={"enabled": False})
    node = await Node.start(config.model_copy(update={"recorder": recorder}), dev=True)
    teacher = await teach(node, http)
    assert (await until_flowing(node, http))["recording"] == "off"
    assert list((tmp_path / "data" / "lessons").iterdir()) == []
    await teacher.pc.close()
    await node.stop()
