"""The emulator: a process between two TUN devices, each in a namespace of its own.

Started by `lab.py` with a `Plan` as JSON on its command line; it says `ready`, forwards until
SIGTERM or until its standard input ends (whoever started it is gone), and answers datagrams on a
Unix socket: `{"down": {"rate_bps": 500000}}` changes the link at once, any datagram is answered
with a snapshot of all counters. `down` leads from the good side to the school.

No offload is asked of the devices: the kernel segments and checksums before we see a packet.
"""

import contextlib
import ctypes
import fcntl
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.linklab import namespaces
from benchmarks.linklab.link import SECOND, Counts, Link, Settings
from benchmarks.linklab.profile import WAYS, Way

FLOWS_PORT = 9
"""TCP port of what is not the lesson's; never blocked, counted apart."""
LESSON, FLOWS = "lesson", "flows"

_DNS = 53
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # <linux/if_tun.h>
_PR_SET_TIMERSLACK = 29  # <linux/prctl.h>
_TCP, _UDP = 6, 17
_BATCH = 64  # packets of one device before the other has its turn
_PRIORITY = 10  # among SCHED_FIFO: before all that is not
_IDLE_NS = SECOND // 2


@dataclass(frozen=True)
class Side:
    """One end of the link."""

    namespace: str
    address: str


@dataclass(frozen=True)
class Plan:
    """What to emulate."""

    good: Side
    school: Side
    links: Mapping[Way, Settings]
    seed: int
    control: str
    """Path of the control socket."""
    tcp_ports: tuple[int, ...] | None = None
    mtu: int = 1500

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """What `to_json` made."""
        said = json.loads(text)
        links = {way: Settings().changed(said["links"][way]) for way in WAYS}
        ports = said["tcp_ports"]
        sides = {name: Side(**said[name]) for name in ("good", "school")}
        return cls(
            **{**said, **sides, "links": links, "tcp_ports": tuple(ports) if ports else None}
        )


class Direction:
    """One way: a device to read, a link, a device to write."""

    def __init__(self, source: int, sink: int, link: Link[bytes], plan: Plan) -> None:
        self.source = source
        self.link = link
        self.counts = {LESSON: Counts(), FLOWS: Counts()}
        self.blocked = self.write_errors = self.late_ns_max = 0
        self._sink = sink
        self._tcp_ports = plan.tcp_ports

    def take(self) -> None:
        """Read what the device has."""
        for _ in range(_BATCH):
            try:
                packet = os.read(self.source, 65_536)
            except BlockingIOError:
                return
            if (kind := sort(packet, self._tcp_ports)) is None:
                self.blocked += 1
            else:
                self.link.push(packet, len(packet), time.monotonic_ns(), self.counts[kind])

    def give(self) -> None:
        """Write what is due."""
        while (polled := self.link.poll(now := time.monotonic_ns())) is not None:
            due, packet = polled
            self.late_ns_max = max(self.late_ns_max, now - due)
            try:
                os.write(self._sink, packet)
            except OSError:
                self.write_errors += 1

    def change(self, settings: dict[str, object]) -> None:
        """Other settings from now on."""
        self.link.change(self.link.settings.changed(settings), time.monotonic_ns())

    def snapshot(self) -> dict[str, Any]:
        """All that was counted; how late since the last one."""
        late, self.late_ns_max = self.late_ns_max, 0
        return {
            **{kind: vars(counts) for kind, counts in self.counts.items()},
            "blocked": self.blocked,
            "write_errors": self.write_errors,
            "late_us_max": late // 1_000,
            "rate_bps": self.link.settings.rate_bps,
        }


def sort(packet: bytes, tcp_ports: tuple[int, ...] | None = None) -> str | None:
    """Whose an IPv4 packet is; None if it may not pass."""
    if len(packet) < 24 or packet[0] >> 4 != 4:
        return None
    protocol, head = packet[9], (packet[0] & 15) * 4
    if protocol not in (_TCP, _UDP):
        return LESSON
    ports = struct.unpack_from("!HH", packet, head) if len(packet) >= head + 4 else (0, 0)
    if protocol == _TCP and FLOWS_PORT in ports:
        return FLOWS
    if tcp_ports is None:
        return LESSON
    allowed = tcp_ports if protocol == _TCP else (_DNS,)
    return LESSON if set(ports) & set(allowed) else None


def device(side: Side, peer: Side, mtu: int) -> int:
    """A TUN device in the side's namespace, by which the other side is reached; a descriptor."""
    with namespaces.inside(side.namespace):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", b"wan", _IFF_TUN | _IFF_NO_PI))
        namespaces.ip("addr", "add", side.address, "peer", peer.address, "dev", "wan")
        namespaces.ip("link", "set", "dev", "wan", "mtu", str(mtu), "txqueuelen", "1000", "up")
        namespaces.ip("route", "add", "default", "dev", "wan")
    return fd


def run(plan: Plan) -> None:
    """Forward until told to end."""
    good = device(plan.good, plan.school, plan.mtu)
    school = device(plan.school, plan.good, plan.mtu)
    links = {way: Link[bytes](plan.links[way], plan.seed * 2 + (way == "up")) for way in WAYS}
    directions: dict[Way, Direction] = {
        "down": Direction(good, school, links["down"], plan),
        "up": Direction(school, good, links["up"], plan),
    }
    with _control(plan.control) as control:
        _be_punctual()
        print("ready", flush=True)
        _forward(directions, control)


def _forward(directions: Mapping[Way, Direction], control: socket.socket) -> None:
    readers: dict[int, Callable[[], object]] = {
        direction.source: direction.take for direction in directions.values()
    }
    readers[control.fileno()] = lambda: _obey(directions, control)
    ended: list[object] = []
    readers[sys.stdin.fileno()] = lambda: ended.append(not os.read(sys.stdin.fileno(), 4_096))
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    while not any(ended):
        for fd in select.select(readers, (), (), _patience(directions))[0]:
            readers[fd]()
        for direction in directions.values():
            direction.give()


def _patience(directions: Mapping[Way, Direction]) -> float:
    """Seconds until something is due."""
    now = time.monotonic_ns()
    due = [at for direction in directions.values() if (at := direction.link.next_at()) is not None]
    return max(0, min([*due, now + _IDLE_NS]) - now) / SECOND


def _obey(directions: Mapping[Way, Direction], control: socket.socket) -> None:
    data, sender = control.recvfrom(65_536)
    answer: dict[str, object] = {}
    try:
        for way, settings in json.loads(data).items():
            directions[way].change(settings)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        answer["error"] = str(error)
    answer |= {way: direction.snapshot() for way, direction in directions.items()}
    answer["at_ns"] = time.monotonic_ns()
    answer["cpu_s"] = time.process_time()
    with contextlib.suppress(OSError):
        control.sendto(json.dumps(answer).encode(), sender)


@contextlib.contextmanager
def _control(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as control:
        control.bind(path)
        control.setblocking(False)
        yield control


def _be_punctual() -> None:
    gc.disable()  # nothing here makes cycles
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1_000, 0, 0, 0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except OSError as error:
        print(f"no SCHED_FIFO: {error}", file=sys.stderr)


if __name__ == "__main__":
    run(Plan.from_json(sys.argv[1]))
