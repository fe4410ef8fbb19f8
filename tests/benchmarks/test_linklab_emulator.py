"""The emulator as it runs: what it lets through, and a real link between real namespaces."""

import asyncio
import contextlib
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from benchmarks.linklab import namespaces
from benchmarks.linklab.emulator import FLOWS, FLOWS_PORT, LESSON, Plan, Side, sort
from benchmarks.linklab.lab import Lab, LabError, lab
from benchmarks.linklab.link import Loss, Settings
from benchmarks.linklab.profile import Way

_UNAVAILABLE = namespaces.unavailable()
real = pytest.mark.skipif(_UNAVAILABLE is not None, reason=_UNAVAILABLE or "")


_SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>

FREE: dict[Way, Settings] = {"down": Settings(delay_ms=1), "up": Settings(delay_ms=1)}


def packet(protocol: int, source: int, target: int) -> bytes:
    head = struct.pack("!BxHxxxxBBxx8x", 0x45, 28, 64, protocol)
    return head + struct.pack("!HH4x", source, target)


def test_everything_passes_where_nothing_is_blocked():
    assert sort(packet(17, 5000, 7882)) == LESSON
    assert sort(packet(6, 5000, 7880)) == LESSON
    assert sort(packet(1, 0, 0)) == LESSON
    assert sort(packet(6, 5000, FLOWS_PORT)) == FLOWS


def test_a_strict_firewall_passes_names_and_one_port():
    strict = (443,)
    assert sort(packet(17, 5000, 7882), strict) is None
    assert sort(packet(17, 5000, 53), strict) == LESSON
    assert sort(packet(6, 5000, 7880), strict) is None
    assert sort(packet(6, 5000, 443), strict) == LESSON
    assert sort(packet(6, 443, 5000), strict) == LESSON
    assert sort(packet(6, FLOWS_PORT, 5000), strict) == FLOWS


@pytest.mark.parametrize("garbage", [b"", b"\x45", b"\x60" + bytes(40), b"\x4f" + bytes(30)])
def test_what_is_no_ipv4_does_not_pass_or_harm(garbage: bytes):
    assert sort(garbage) in (None, LESSON)


def test_a_plan_survives_the_command_line():
    links: dict[Way, Settings] = {
        "down": Settings(1e6, loss=Loss(0.1, 0.5)),
        "up": Settings(5e5, jitter_ms=3),
    }
    plan = Plan(Side("a", "198.18.0.1"), Side("b", "198.18.0.2"), links, 7, "control", (443,))
    assert Plan.from_json(plan.to_json()) == plan


@contextlib.contextmanager
def sockets(there: Lab) -> Iterator[tuple[socket.socket, socket.socket]]:
    """One on each side, for datagrams."""
    with contextlib.ExitStack() as stack:
        made = []
        for side in (there.good, there.school):
            with namespaces.inside(side.namespace):
                one = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                one.bind((side.address, 5000))
                one.settimeout(2)
                made.append(one)
        made[0].connect((there.school.address, 5000))
        made[1].connect((there.good.address, 5000))
        yield made[0], made[1]


@real
async def test_a_real_link_has_its_round_trip_and_its_rate():
    down = Settings(2e6, queue_ms=600, delay_ms=60)
    async with lab({"down": down, "up": Settings(1e6, delay_ms=40)}, 1) as there:
        with sockets(there) as (good, school):
            trips = await asyncio.to_thread(round_trips, good, school, 20)
            assert min(trips) == pytest.approx(100.7, abs=1.5)  # others may hold us up
            goodput = await asyncio.to_thread(flood, good, school)
        assert goodput == pytest.approx(2e6, rel=0.02)
        counted = (await there.snapshot())["down"][LESSON]
        assert counted["queue_drops"] > 0
        assert max(map(int, counted["waits_ms"])) == pytest.approx(595, abs=8)


def round_trips(good: socket.socket, school: socket.socket, number: int) -> list[float]:
    trips = []
    for _ in range(number):
        began = time.monotonic()
        good.send(bytes(32))
        school.send(school.recv(100))
        good.recv(100)
        trips.append((time.monotonic() - began) * 1e3)
    return trips


def flood(good: socket.socket, school: socket.socket) -> float:
    """IP bits a second that come of more than the queue holds, as the kernel stamps them."""
    school.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    for _ in range(200):
        good.send(bytes(1_172))
    came = [arrival(school) for _ in range(120)]
    return 1_200 * 8 * (len(came) - 1) / (came[-1] - came[0])


def arrival(there: socket.socket) -> float:
    _, ((_, _, stamp),), _, _ = there.recvmsg(2_000, 100)
    seconds, nanoseconds = struct.unpack("qq", stamp)
    return float(seconds + nanoseconds / 1e9)


@real
async def test_the_link_changes_while_it_runs():
    async with lab(FREE, 1) as there:
        with sockets(there) as (good, school):
            await there.change("down", {"up": False})
            good.send(b"lost")
            await there.change("down", {"up": True})
            good.send(b"found")
            assert await asyncio.to_thread(school.recv, 100) == b"found"
        assert (await there.snapshot())["down"][LESSON]["outage_drops"] == 1
        many = await asyncio.gather(*(there.snapshot() for _ in range(20)))
        assert len({said["at_ns"] for said in many}) == 20
        with pytest.raises(LabError, match="a link has no speed"):
            await there.change("down", {"speed": 1})


@real
async def test_nothing_is_left_when_a_lab_breaks_down():
    labs: list[Lab] = []
    strays: list[asyncio.subprocess.Process] = []
    with pytest.raises(RuntimeError, match="broken"):
        await break_down(labs, strays)
    assert not {labs[0].good.namespace, labs[0].school.namespace} & existing()
    assert labs[0].emulator.returncode is not None
    assert await strays[0].wait() == -signal.SIGTERM


async def break_down(labs: list[Lab], strays: list[asyncio.subprocess.Process]) -> None:
    async with lab(FREE, 1) as there:
        assert {there.good.namespace, there.school.namespace} <= existing()
        inside = ("ip", "netns", "exec", there.school.namespace)
        stray = await asyncio.create_subprocess_exec(
            *inside, "sh", "-c", "echo here; exec sleep 60", stdout=subprocess.PIPE
        )
        assert stray.stdout
        assert await stray.stdout.readline() == b"here\n"
        labs.append(there)
        strays.append(stray)
        raise RuntimeError("broken")


@real
def test_what_a_killed_lab_has_left_is_swept():
    code = (
        "from benchmarks.linklab import namespaces; import os\n"
        "kept = namespaces.namespace('killed'); kept.__enter__(); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    left = {name for name in existing() if name.endswith("-killed")}
    assert left
    assert left <= set(namespaces.sweep())
    assert not left & existing()


@real
async def test_two_labs_do_not_meet():
    async with lab(FREE, 1) as one, lab(FREE, 2) as other:
        for there in (one, other):
            with sockets(there) as (good, school):
                assert await asyncio.to_thread(round_trips, good, school, 1)
        assert (await one.snapshot())["down"][LESSON]["delivered"] == 1


def existing() -> set[str]:
    return {path.name for path in namespaces.RUN.iterdir()}
