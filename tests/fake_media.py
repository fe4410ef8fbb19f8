"""A double of `sfu._media.Engine`: keeps what it is told, says what a test wants to hear."""

import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Dtls:
    peer: int
    datagram: bytes


@dataclass(frozen=True)
class Connected:
    peer: int
    host: str = "127.0.0.1"
    port: int = 5000


@dataclass(frozen=True)
class ConsentLost:
    peer: int


@dataclass(frozen=True)
class StreamStarted:
    uptrack: int
    rid: str
    ssrc: int


@dataclass(frozen=True)
class LayersChanged:
    uptrack: int
    rates: list[tuple[int, int, int, int]]


@dataclass(frozen=True)
class LayersWanted:
    uptrack: int
    streams: list[int]


@dataclass(frozen=True)
class Speaking:
    uptrack: int
    level: float
    active: bool


@dataclass(frozen=True)
class LinkChanged:
    peer: int
    bits_per_second: int
    rtt: float = 0.05
    loss: float = 0.0
    tcp: bool = False


@dataclass(frozen=True)
class JournalFailed:
    journal: int
    reason: str


@dataclass(frozen=True)
class JournalRecovered:
    journal: int
    dropped: int


@dataclass
class FakeJournal:
    directory: Path
    tracks: dict[int, int] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    closed: bool = False


class FakeEngine:
    """One instance is one engine; `commands` is everything it was told, in order."""

    def __init__(self, shards: int = 1) -> None:
        self.ports = [40000 + shard for shard in range(shards)]
        self.tcp_port = 40100
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.commands: list[tuple[Any, ...]] = []
        self.peers: dict[int, tuple[int, str, str]] = {}
        self.uptracks: dict[int, Any] = {}
        self.downtracks: dict[int, Any] = {}
        self.sources: dict[int, int | None] = {}
        self.journals: dict[int, FakeJournal] = {}
        self.keeps: list[str] = []
        """What journals were told to keep, one after the other."""
        self.uptrack_stats: list[dict[str, object]] = []
        self.outbox: dict[int, deque[bytes]] = {}
        self.closed = False
        self.refuse_journals = False
        self._events: deque[object] = deque()
        self._ids = iter(range(1, 1_000_000))

    def say(self, *events: object) -> None:
        """Let the engine report these events at the loop's next turn."""
        self._events.extend(events)
        os.eventfd_write(self.event_fd, 1)

    @property
    def has_more_to_say(self) -> bool:
        """Whether events wait for the loop's next turn."""
        return bool(self._events)

    def told(self, name: str) -> list[tuple[Any, ...]]:
        """The arguments of every command of that name."""
        return [command[1:] for command in self.commands if command[0] == name]

    def poll_events(self) -> list[object]:
        os.eventfd_read(self.event_fd)
        events = list(self._events)
        self._events.clear()
        return events

    def add_peer(self, shard: int, ufrag: str, pwd: str) -> int:
        peer = next(self._ids)
        self.peers[peer] = (shard, ufrag, pwd)
        self.outbox[peer] = deque()
        self.commands.append(("add_peer", shard, ufrag, pwd))
        return peer

    def remove_peer(self, peer: int) -> None:
        self.peers.pop(peer, None)
        self.commands.append(("remove_peer", peer))

    def rotate_credentials(self, peer: int, ufrag: str, pwd: str) -> None:
        self.commands.append(("rotate_credentials", peer, ufrag, pwd))

    def send_dtls(self, peer: int, datagram: bytes) -> None:
        self.outbox[peer].append(datagram)
        self.commands.append(("send_dtls", peer, datagram))

    def set_keys(self, peer: int, profile: str, rx: bytes, tx: bytes) -> None:
        self.commands.append(("set_keys", peer, profile, rx, tx))

    def add_uptrack(self, peer: int, config: Any) -> int:
        uptrack = next(self._ids)
        self.uptracks[uptrack] = config
        return uptrack

    def add_downtrack(self, peer: int, config: Any) -> int:
        downtrack = next(self._ids)
        self.downtracks[downtrack] = config
        return downtrack

    def remove_uptrack(self, uptrack: int) -> None:
        self.uptracks.pop(uptrack, None)
        self.commands.append(("remove_uptrack", uptrack))

    def remove_downtrack(self, downtrack: int) -> None:
        self.downtracks.pop(downtrack, None)
        self.sources.pop(downtrack, None)
        self.commands.append(("remove_downtrack", downtrack))

    def set_source(self, downtrack: int, uptrack: int | None) -> None:
        self.sources[downtrack] = uptrack
        self.commands.append(("set_source", downtrack, uptrack))

    def set_paused(self, downtrack: int, paused: bool) -> None:
        self.commands.append(("set_paused", downtrack, paused))

    def set_limit(self, downtrack: int, stream: int | None, spatial: int, temporal: int) -> None:
        self.commands.append(("set_limit", downtrack, stream, spatial, temporal))

    def set_playout_delay(self, peer: int, least: float, most: float) -> None:
        self.commands.append(("set_playout_delay", peer, least, most))

    def set_wanted(self, peer: int, bits_per_second: int) -> None:
        self.commands.append(("set_wanted", peer, bits_per_second))

    def freshen(self, uptrack: int) -> None:
        self.commands.append(("freshen", uptrack))

    def open_journal(self, directory: str) -> int:
        if self.refuse_journals:
            raise OSError(28, "No space left on device")
        journal = next(self._ids)
        self.journals[journal] = FakeJournal(Path(directory))
        return journal

    def journal_track(self, journal: int, track: int, uptrack: int) -> None:
        self.journals[journal].tracks[track] = uptrack

    def journal_event(self, journal: int, json: str) -> None:
        self.journals[journal].events.append(json)

    def keep_of_journals(self, keeps: str) -> None:
        self.keeps.append(keeps)

    def close_journal(self, journal: int) -> None:
        self.journals[journal].closed = True

    def stats(self) -> dict[str, object]:
        return {"shards": [{"packets_in": 1}], "uptracks": list(self.uptrack_stats)}

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self.event_fd)
