"""What does it cost to forward one packet to one viewer, and how near is that to the limit?

One teacher (H264 at 30 frames a second, and Opus) and many schools, on one node of one shard.
The limit is measured in the same run: the same bytes to the same sockets, sealed and sent with
GSO, and nothing else.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.generator import Clients, Endpoint
from benchmarks.machine import (
    GENERATOR_CORE,
    SERVER_CORE,
    conditions,
    cpu_us,
    on_core,
    receive_buffer_errors,
)
from clients.headless.api import Api
from clients.headless.node import Node

if TYPE_CHECKING:
    from benchmarks._loadgen import Snapshot

WARM_UP = 3.0
"""Seconds of lesson before anything is counted."""
LIMIT_SECONDS = 5


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--viewers", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--video-bps", type=int, default=2_000_000)
    parser.add_argument("--spread-us", type=int, default=0, help="pace a frame over this time")
    parser.add_argument("--audio-only", action="store_true", help="no video: GSO cannot help")


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.viewers, options.seconds = min(options.viewers, 100), min(options.seconds, 5.0)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    if options.audio_only:
        options.video_bps = 0
    with on_core(GENERATOR_CORE), tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(options, Path(folder)))


@dataclass(frozen=True)
class _Moment:
    """What is counted at one moment."""

    user_us: float
    system_us: float
    shard: dict[str, float]
    clients: "Snapshot"
    drops: int


async def _run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    environment = {"TONGBU_RECORDER__ENABLED": "false", "TONGBU_LOG__LEVEL": "warning"}
    with on_core(SERVER_CORE):
        node = await Node.start(folder, environment=environment)
    try:
        async with Api(node.url) as api, Clients() as clients:
            teacher = await clients.teach(await _endpoint(api, "whip", "teacher"))
            clients.native.publish(
                teacher, video_bps=options.video_bps, spread_us=options.spread_us
            )
            school = await _endpoint(api, "whep", "school")
            for _ in range(options.viewers):
                await clients.watch(school)
            await asyncio.sleep(WARM_UP)
            before = await _moment(node, api, clients)
            await asyncio.sleep(options.seconds)
            after = await _moment(node, api, clients)
            limit = await asyncio.to_thread(_limit, options, after.clients["ports"][1:])
    finally:
        await node.stop()
    return _answer(options, before, after, limit)


async def _endpoint(api: Api, protocol: str, role: str) -> Endpoint:
    token = await api.become(role, "bench")
    return Endpoint(f"{api.url}/bench/{protocol}", token)


async def _moment(node: Node, api: Api, clients: Clients) -> _Moment:
    shards = (await api.stats())["shards"]
    user, system = cpu_us(node.process.pid)
    return _Moment(user, system, shards[0], clients.native.snapshot(), receive_buffer_errors())


def _limit(options: argparse.Namespace, ports: list[int]) -> float:
    with on_core(SERVER_CORE):
        said = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.limit"),
                *("--video-bps", str(options.video_bps), "--spread-us", str(options.spread_us)),
                *("--seconds", str(LIMIT_SECONDS), *map(str, ports)),
            ],
            check=True,
            capture_output=True,
        )
    return float(json.loads(said.stdout)["us_per_packet"])


def _answer(
    options: argparse.Namespace, before: _Moment, after: _Moment, limit: float
) -> dict[str, Any]:
    def shard(counter: str) -> float:
        return after.shard[counter] - before.shard[counter]

    rows = list(zip(before.clients["received"], after.clients["received"], strict=True))[1:]
    received = sum(new[0] - old[0] for old, new in rows)
    lost = sum(new[2] - old[2] for old, new in rows)
    user = (after.user_us - before.user_us) / received
    system = (after.system_us - before.system_us) / received
    return {
        "viewers": options.viewers,
        "video_bps": options.video_bps,
        "seconds": options.seconds,
        "packets": received,
        "cpu_us_per_packet": round(user + system, 3),
        "user_us_per_packet": round(user, 3),
        "system_us_per_packet": round(system, 3),
        "limit_us_per_packet": round(limit, 3),
        "ratio_to_limit": round((user + system) / limit, 2),
        "loss": lost / (received + lost),
        "unopened": sum(new[4] for _, new in rows),
        "gso_segments_mean": round(shard("datagrams_out") / shard("messages_out"), 2),
        "syscalls_per_packet": round(
            (shard("send_calls") + shard("receive_calls") + shard("waits")) / received, 4
        ),
        "server_cpu": round((user + system) * received / options.seconds / 1e6, 3),
        "generator_cpu": round(
            (after.clients["cpu_us"] - before.clients["cpu_us"]) / options.seconds / 1e6, 3
        ),
        "generator_late_us_max": after.clients["late_us_max"],
        "receive_buffer_errors": after.drops - before.drops,
        "conditions": conditions(),
    }
