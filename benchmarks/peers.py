"""How much CPU does a forwarded packet cost, here and with other servers?

The same work on each in turn, round after round: one teacher (H264 at 30 frames a second, and
Opus), many schools with transport-wide feedback, AEAD_AES_128_GCM, the server on a core of its own.
The first round is discarded; in it a server that is full, or loses more than 1 %, is offered fewer
schools until it is not, and is then compared with ours at the same number.
"""

import argparse
import asyncio
import contextlib
import logging
import resource
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.generator import Clients, JoinError
from benchmarks.lesson import JOINING_AT_ONCE, trace_options
from benchmarks.machine import (
    GENERATOR_CORE,
    SERVER_CORE,
    conditions,
    core_seconds,
    cpu_us,
    on_core,
    receive_buffer_errors,
)
from benchmarks.servers import OURS, PEERS, Running, Server, ServerError
from benchmarks.servers.program import family
from benchmarks.span import Moment, Span

SETTLE = 1.5
"""Seconds of lesson after the last join before anything is counted."""
FULL = 0.95
MAX_LOSS = 0.01
FEWER = 2 / 3
"""So many of the schools are left where they were too many."""
LEAST = 10

_OPENED = 3  # a column of `Snapshot.received`
_LOG = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    trace_options(parser, viewers=150, seconds=6.0)
    parser.add_argument("--rounds", type=int, default=6, help="measured ones")
    names = [server.name for server in PEERS]
    parser.add_argument("--only", nargs="*", choices=names, default=names, help="these peers")
    parser.set_defaults(calibrate=True)


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look: one round, so few schools that nobody is full."""
    options.viewers, options.seconds = min(options.viewers, 20), min(options.seconds, 2.0)
    options.rounds, options.calibrate = 1, False


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    return asyncio.run(measure(options, OURS, [s for s in PEERS if s.name in options.only]))


@dataclass
class Seat:
    """A server with a number of schools, and what was measured of it."""

    server: Server
    viewers: int
    saturated_at: list[int] = field(default_factory=list)
    """Numbers of schools that were too many for it."""
    spans: list[Span] = field(default_factory=list)
    failure: str | None = None

    @property
    def us_per_packet(self) -> float:
        """The median of the rounds."""
        return statistics.median(span.cpu_us for span in self.spans)


async def measure(
    options: argparse.Namespace, ours: Server, peers: Sequence[Server]
) -> dict[str, Any]:
    """Ours and the peers that are there, in alternating rounds."""
    unavailable = {peer.name: why for peer in peers if (why := peer.missing()) is not None}
    seats = [Seat(s, options.viewers) for s in (ours, *peers) if s.name not in unavailable]
    if options.calibrate:
        for seat in seats:
            await _calibrate(seat, options)
        numbers = {seat.viewers for seat in seats} - {options.viewers}
        seats += [Seat(ours, viewers) for viewers in sorted(numbers)]
    for number in range(options.rounds):
        for seat in [seat for seat in seats if seat.failure is None]:
            _LOG.info("round %d of %d: %s", number + 1, options.rounds, seat.server.name)
            await _measure(seat, options)
    unavailable |= {seat.server.name: seat.failure for seat in seats if seat.failure}
    return await _answer(options, ours, [s for s in seats if not s.failure], unavailable)


async def _calibrate(seat: Seat, options: argparse.Namespace) -> None:
    """The discarded round, repeated with fewer schools until they are not too many."""
    while seat.failure is None:
        _LOG.info("discarded round: %s with %d schools", seat.server.name, seat.viewers)
        await _measure(seat, options)
        if not seat.spans or not _saturated(seat.spans.pop()) or seat.viewers <= LEAST:
            break
        seat.saturated_at.append(seat.viewers)
        seat.viewers = max(LEAST, int(seat.viewers * FEWER))


async def _measure(seat: Seat, options: argparse.Namespace) -> None:
    """One round of one server; it may fail, and then it is told why."""
    try:
        span = await _round(seat.server, seat.viewers, options)
    except (JoinError, ServerError, OSError) as error:
        seat.failure = f"failed with {seat.viewers} schools: {error}"
        return
    seat.spans.append(span)
    if span.unopened or not _opened(span):
        seat.failure = f"{span.unopened} packets of the sample did not open"


async def _round(server: Server, viewers: int, options: argparse.Namespace) -> Span:
    async with _lesson(server) as (running, clients):
        teacher = await clients.teach(running.teacher)
        clients.native.publish(teacher, video_bps=options.video_bps)
        for start in range(0, viewers, JOINING_AT_ONCE):
            batch = range(start, min(start + JOINING_AT_ONCE, viewers))
            await asyncio.gather(*(clients.watch(running.school) for _ in batch))
        await asyncio.sleep(SETTLE)
        before = _moment(running, clients, teacher)
        await asyncio.sleep(options.seconds)
        return Span(before, _moment(running, clients, teacher))


@contextlib.asynccontextmanager
async def _lesson(server: Server) -> AsyncIterator[tuple[Running, Clients]]:
    """A server on its core and clients on theirs; nobody has joined yet."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(on_core(GENERATOR_CORE))
        with on_core(SERVER_CORE):
            running = await stack.enter_async_context(server.run())
        yield running, await stack.enter_async_context(Clients())


def _moment(running: Running, clients: Clients, teacher: int) -> Moment:
    times = [cpu_us(pid) for pid in family(running.pid)]
    return Moment(
        sum(user for user, _ in times),
        sum(system for _, system in times),
        [],
        clients.native.snapshot(),
        frozenset({teacher}),
        receive_buffer_errors(),
        *core_seconds(SERVER_CORE, GENERATOR_CORE),
        time.process_time(),
        asyncio.get_running_loop().time(),
    )


def _saturated(span: Span) -> bool:
    return span.server_cpu > FULL or span.loss > MAX_LOSS or span.behind > MAX_LOSS


def _opened(span: Span) -> int:
    """Packets of the sample that were what the teacher had sealed."""
    after, before = span.after.clients["received"], span.before.clients["received"]
    return sum(row[_OPENED] for row in after) - sum(row[_OPENED] for row in before)


async def _answer(
    options: argparse.Namespace,
    ours: Server,
    seats: list[Seat],
    unavailable: dict[str, str],
) -> dict[str, Any]:
    own = {seat.viewers: seat for seat in seats if seat.server is ours}
    if options.viewers not in own:
        raise ServerError(f"{ours.name}: {unavailable[ours.name]}")
    theirs = [seat for seat in seats if seat.server is not ours]
    first = {seat.server.name: seat for seat in (own[options.viewers], *theirs)}
    return {
        "viewers": options.viewers,
        "video_bps": options.video_bps,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "us_per_packet": {name: round(seat.us_per_packet, 2) for name, seat in first.items()},
        "ahead": {
            seat.server.name: round(seat.us_per_packet / own[seat.viewers].us_per_packet, 2)
            for seat in theirs
        },
        "rows": [_row(seat) for seat in seats],
        "settings": {seat.server.name: dict(seat.server.settings) for seat in first.values()},
        "versions": {name: await seat.server.version() for name, seat in first.items()},
        "unavailable": unavailable,
        "srtp": "AEAD_AES_128_GCM",
        "conditions": conditions(),
    }


def _row(seat: Seat) -> dict[str, Any]:
    def middle(name: str, digits: int) -> float:
        values: list[float] = [getattr(span, name) for span in seat.spans]
        return round(statistics.median(values), digits)

    received = sum(span.received for span in seat.spans)
    lost = sum(span.loss / (1 - span.loss) * span.received for span in seat.spans)
    return {
        "name": seat.server.name,
        "viewers": seat.viewers,
        "us_per_packet": round(seat.us_per_packet, 2),
        "us_per_packet_of_rounds": [round(span.cpu_us, 2) for span in seat.spans],
        "user_us": middle("user_us", 2),
        "system_us": middle("system_us", 2),
        "packets": received,
        "loss": round(lost / max(1, received + lost), 6),
        "behind_max": round(max(span.behind for span in seat.spans), 4),
        "server_cpu": middle("server_cpu", 3),
        "generator_cpu": middle("generator_cpu", 3),
        "others_cpu": middle("others_cpu", 3),
        "saturated_rounds": sum(map(_saturated, seat.spans)),
        "saturated_at": seat.saturated_at,
        "opened": sum(map(_opened, seat.spans)),
        "unopened": sum(span.unopened for span in seat.spans),
    }
