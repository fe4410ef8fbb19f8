"""The comparison itself: a small class on real servers; what is told of those not there."""

import argparse
import asyncio
import contextlib
import json
import os
import select
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jwt
import pytest
import yaml

from benchmarks import peers, session
from benchmarks.servers import (
    OURS,
    PEERS,
    Running,
    Server,
    ServerError,
    janus,
    livekit,
    mediamtx,
    mediasoup,
)
from benchmarks.servers.program import family, program
from benchmarks.session import Local
from sfu.negotiation import Fingerprint

ME = Local("ufrag", "p" * 24, Fingerprint("sha-256", ":".join(["AB"] * 32)))


def options(*arguments: str, calibrate: bool = False) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    peers.arguments(parser)
    parsed = parser.parse_args(["--viewers", "4", "--seconds", "1", "--rounds", "1", *arguments])
    parsed.calibrate = calibrate
    return parsed


class Stranger(Server):
    """A server of which only the name counts."""

    name = "stranger"
    settings: ClassVar[Mapping[str, object]] = {"mood": "good"}

    def __init__(self, why: str | None = None) -> None:
        self._why = why

    def missing(self) -> str | None:
        return self._why

    async def version(self) -> str:
        return "0"

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[Running]:
        raise ServerError("it does not want to")
        yield


def test_ours_and_each_peer_that_is_here_forward_whole_packets_to_all() -> None:
    answer = asyncio.run(peers.measure(options(), OURS, PEERS))
    assert set(answer["us_per_packet"]) | set(answer["unavailable"]) == {
        server.name for server in (OURS, *PEERS)
    }
    assert set(answer["ahead"]) == set(answer["us_per_packet"]) - {OURS.name}
    for name, reason in answer["unavailable"].items():
        assert "is not there" in reason, (name, reason)
    for row in answer["rows"]:
        assert row["unopened"] == 0, row
        # A second carries 50 packets of sound and some 230 of picture.
        assert row["packets"] > 4 * 100, row
        assert row["us_per_packet"] > 0
        assert answer["settings"][row["name"]]
        assert answer["versions"][row["name"]]


def test_who_is_not_here_is_named_with_the_reason() -> None:
    fake = Stranger("it is not there; `benchmarks/servers/install.sh stranger` installs it")
    answer = asyncio.run(peers.measure(options(), OURS, [fake]))
    assert list(answer["us_per_packet"]) == [OURS.name]
    assert answer["unavailable"] == {"stranger": fake.missing()}


def test_who_fails_is_named_with_its_own_words_and_stops_nobody() -> None:
    answer = asyncio.run(peers.measure(options(), OURS, [Stranger()]))
    assert list(answer["us_per_packet"]) == [OURS.name]
    assert answer["unavailable"] == {"stranger": "failed with 4 schools: it does not want to"}


@dataclass
class Counted:
    """A round that never was: a server that is full above 50 schools and loses above 30."""

    viewers: int
    cpu_us: float
    unopened: int = 0
    behind: float = 0.0

    def __getattr__(self, name: str) -> float:
        known = {"server_cpu": self.viewers / 52, "received": 1_000, "generator_cpu": 0.1}
        known |= {"loss": 0.02 if self.viewers > 30 else 0.0}
        return known.get(name, 0.0)


async def test_a_full_server_is_offered_fewer_schools_and_compared_at_that_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def pretend(server: Server, viewers: int, _: argparse.Namespace) -> Counted:
        if server is OURS:
            return Counted(0, cpu_us=2.0 if viewers == 90 else 4.0)
        return Counted(viewers, cpu_us=20.0)

    monkeypatch.setattr(peers, "_round", pretend)
    monkeypatch.setattr(peers, "_opened", lambda span: 7)
    answer = await peers.measure(options("--viewers", "90", calibrate=True), OURS, [Stranger()])
    ours, theirs, ours_again = answer["rows"]
    assert (ours["viewers"], ours["saturated_at"]) == (90, [])
    assert (theirs["viewers"], theirs["saturated_at"]) == (26, [90, 60, 40])
    assert (ours_again["name"], ours_again["viewers"]) == (OURS.name, 26)
    assert answer["us_per_packet"] == {OURS.name: 2.0, "stranger": 20.0}
    assert answer["ahead"] == {"stranger": 5.0}


async def test_a_server_whose_packets_do_not_open_has_no_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def pretend(server: Server, viewers: int, _: argparse.Namespace) -> Counted:
        return Counted(1, cpu_us=1.0, unopened=0 if server is OURS else 3)

    monkeypatch.setattr(peers, "_round", pretend)
    monkeypatch.setattr(peers, "_opened", lambda span: 7)
    answer = await peers.measure(options(), OURS, [Stranger()])
    assert list(answer["us_per_packet"]) == [OURS.name]
    assert "3 packets of the sample did not open" in answer["unavailable"]["stranger"]


def test_each_adapter_says_how_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Path("/nowhere")
    monkeypatch.setattr(livekit, "_PROGRAM", nowhere)
    monkeypatch.setattr(mediamtx, "_PROGRAM", nowhere)
    monkeypatch.setattr(mediasoup, "_PACKAGE", nowhere)
    monkeypatch.setattr(janus.shutil, "which", lambda name: "/x" if name == "node" else None)
    for server in PEERS:
        reason = server.missing()
        assert reason is not None
        assert f"`benchmarks/servers/install.sh {server.name}` installs it" in reason


def test_the_install_script_knows_each_peer() -> None:
    script = Path(mediasoup.__file__).with_name("install.sh").read_text()
    for server in PEERS:
        assert f"\n{server.name}() {{" in script


async def test_the_family_of_a_process_is_counted_whole() -> None:
    code = """
import subprocess
with subprocess.Popen(["sleep", "30"]) as child:
    print("child", child.pid, flush=True)
"""
    async with program([sys.executable, "-c", code]) as parent:
        child = int(await parent.line("child "))
        assert family(parent.pid) == [parent.pid, child]
        ended = os.pidfd_open(child)
    assert select.select([ended], [], [], 5.0)[0], "it ends with its parent"
    os.close(ended)


async def test_a_program_that_ends_is_told_in_its_own_words() -> None:
    async with program([sys.executable, "-c", "print('no room')"]) as running:
        with pytest.raises(ServerError, match="no room"):
            await running.line("ready ")


def test_mediasoup_hears_and_tells_what_a_client_needs() -> None:
    said = mediasoup.introduction(ME)
    assert said["fingerprint"] == {"algorithm": "sha-256", "value": ME.fingerprint.value}
    reply = {
        "address": "127.0.0.1:5",
        "ufrag": "u",
        "pwd": "p",
        "fingerprints": [{"algorithm": "sha-256", "value": "AB"}],
        "video": [101, 102],
        "transportCc": 5,
    }
    remote = mediasoup.introduced(json.dumps(reply))
    assert (remote.address, remote.ufrag, remote.pwd) == ("127.0.0.1:5", "u", "p")
    assert (remote.transport_cc, remote.video, remote.probes) == (5, (101, 102), 127)
    assert remote.fingerprints == (Fingerprint("sha-256", "AB"),)


def test_livekit_is_configured_for_this_machine_alone() -> None:
    config: dict[str, Any] = yaml.safe_load(livekit.configuration(7000, 7001))
    assert (config["port"], config["rtc"]["udp_port"]) == (7000, 7001)
    assert config["bind_addresses"] == ["127.0.0.1"]
    assert config["rtc"]["node_ip"] == "127.0.0.1"
    assert config["logging"]["level"] == "error"


def test_livekit_lets_a_client_into_one_room() -> None:
    claims = jwt.decode(livekit.token("school-1"), livekit.SECRET, algorithms=["HS256"])
    assert claims["sub"] == "school-1"
    assert claims["video"]["roomJoin"]


def test_a_livekit_teacher_announces_the_tracks_of_his_offer() -> None:
    cids = {request.cid for request in livekit.tracks()}
    offered = session.offer(ME, "teacher").splitlines()
    assert cids == {line.split()[1] for line in offered if line.startswith("a=msid:")}


def test_janus_runs_with_what_the_settings_say() -> None:
    files = janus.configuration(7002)
    assert "debug_level = 0" in files["janus.jcfg"]
    assert "event_loops = 1" in files["janus.jcfg"]
    assert "ws_port = 7002" in files["janus.transport.websockets.jcfg"]
    if shutil.which("janus"):
        assert "libjanus_videoroom.so" not in files["janus.jcfg"]


def test_mediamtx_speaks_webrtc_only() -> None:
    settings = mediamtx.environment(7003, 7004)
    assert settings["MTX_WEBRTCADDRESS"] == "127.0.0.1:7003"
    assert settings["MTX_WEBRTCLOCALUDPADDRESS"] == "127.0.0.1:7004"
    assert {settings[f"MTX_{name}"] for name in ("RTSP", "RTMP", "HLS", "SRT")} == {"no"}
