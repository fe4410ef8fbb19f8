"""The asyncio face of the native plane: commands out, events in over one fd; no policy.

The one rule: handlers run on the event loop, must not block, and may call any command. A handler
that raises is logged; the other events of the batch are still dispatched.
"""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sfu.config import EngineConfig
from sfu.errors import EngineError
from sfu.negotiation import Codec
from sfu.stats import Stats, parse_stats

if TYPE_CHECKING:
    from sfu import _media

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UptrackConfig:
    """One published media section, as negotiated (see `_media.UptrackConfig`)."""

    kind: str
    mid: str
    codec: Codec
    extensions: Sequence[tuple[int, str]]
    rids: Sequence[str] = ()
    ssrcs: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class DowntrackConfig:
    """One media section sent to a viewer, as negotiated (see `_media.DowntrackConfig`)."""

    kind: str
    mid: str
    codec: Codec
    extensions: Sequence[tuple[int, str]]
    ssrc: int
    rtx_ssrc: int | None
    cname: str
    fec_ssrc: int | None = None


class PeerHandler(Protocol):
    """Who hears what the native plane says of one peer."""

    def on_dtls(self, datagram: bytes) -> None:
        """A DTLS datagram arrived (RFC 7983 demultiplexing is done)."""

    def on_reachable(self, host: str, port: int) -> None:
        """The peer's address is known, or moved."""

    def on_consent_lost(self) -> None:
        """The peer has stopped its STUN checks (RFC 7675). Said once."""


@dataclass(frozen=True, slots=True)
class Link:
    """What the way to a viewer carries."""

    bits_per_second: int
    rtt: float
    """Round trip, seconds."""
    loss: float
    """Packets lost, 0 to 1, smoothed."""
    tcp: bool
    """Whether it is a TCP connection: for a packet that is lost all others wait."""


class JournalHandler(Protocol):
    """Who hears of a journal's health."""

    def on_journal_failed(self, reason: str) -> None:
        """Nothing can be written for now; live goes on."""

    def on_journal_recovered(self, dropped: int) -> None:
        """It writes again; `dropped` records are missing."""


StreamHandler = Callable[[str, int], None]
"""Called with (rid, ssrc) at the first packet of each stream of an uptrack."""

LinkHandler = Callable[[Link], None]
"""Called when what the way to a peer carries has changed, a few times a second at most."""

LayersHandler = Callable[[int, Sequence[tuple[int, int, int, int]]], None]
"""Called with an uptrack and what its layers cost now: (stream, spatial, temporal, bits/s)."""

WantedHandler = Callable[[int, Sequence[int]], None]
"""Called with an uptrack and its simulcast streams that anybody takes, [] for none. Until then all
are wanted."""

SpeechHandler = Callable[[int, float, bool], None]
"""Called with an uptrack, its level (amplitude, 0 to 1), and whether somebody speaks still."""


class Engine:
    """The native plane as the rest of the house sees it. Use it from one event loop only."""

    def __init__(self, native: "_media.Engine", loop: asyncio.AbstractEventLoop) -> None:
        self._native = native
        self._loop = loop
        self._ports = tuple(native.ports)
        self._tcp_port = native.tcp_port
        self._closed = False
        self._peers: dict[int, PeerHandler] = {}
        self._shard_of: dict[int, int] = {}
        self._load: Counter[int] = Counter()
        self._streams: dict[int, StreamHandler] = {}
        self._uptracks_of: dict[int, set[int]] = {}
        self._peer_of: dict[int, int] = {}
        self._links: dict[int, LinkHandler] = {}
        self._layers: dict[int, LayersHandler] = {}
        self._wanted: dict[int, WantedHandler] = {}
        self._speech: dict[int, SpeechHandler] = {}
        self._journals: dict[int, JournalHandler] = {}
        loop.add_reader(native.event_fd, self._dispatch_waiting)

    @property
    def ports(self) -> Sequence[int]:
        """The UDP port of each shard."""
        return self._ports

    @property
    def tcp_port(self) -> int | None:
        """The TCP port of all shards, if there is one."""
        return self._tcp_port

    # --- peers

    def add_peer(self, ufrag: str, pwd: str, handler: PeerHandler) -> int:
        """Expect a peer under our ICE credentials, on the least loaded shard."""
        shard = min(range(len(self.ports)), key=lambda shard: self._load[shard])
        peer = self._native.add_peer(shard, ufrag, pwd)
        self._load[shard] += 1
        self._shard_of[peer] = shard
        self._peers[peer] = handler
        self._uptracks_of[peer] = set()
        return peer

    def port_of(self, peer: int) -> int:
        """The UDP port on which this peer is expected."""
        return self.ports[self._shard_of[peer]]

    def remove_peer(self, peer: int) -> None:
        """Forget the peer with all its tracks. A second call does nothing."""
        if self._peers.pop(peer, None) is None:
            return
        self._load[self._shard_of.pop(peer)] -= 1
        for uptrack in self._uptracks_of.pop(peer):
            self._forget_uptrack(uptrack)
        self._links.pop(peer, None)
        self._native.remove_peer(peer)

    def rotate_credentials(self, peer: int, ufrag: str, pwd: str) -> None:
        """ICE restart: the new credentials count from now on."""
        self._native.rotate_credentials(peer, ufrag, pwd)

    def send_dtls(self, peer: int, datagram: bytes) -> None:
        """Send one DTLS datagram; dropped natively while the peer's address is unknown."""
        self._native.send_dtls(peer, datagram)

    def set_keys(self, peer: int, profile: str, rx: bytes, tx: bytes) -> None:
        """SRTP master key and salt for each direction; media may leave at once."""
        self._native.set_keys(peer, profile, rx, tx)

    # --- tracks

    def add_uptrack(self, peer: int, config: UptrackConfig, on_stream: StreamHandler) -> int:
        """Expect a published track of this peer."""
        uptrack = self._native.add_uptrack(peer, config)
        self._streams[uptrack] = on_stream
        self._uptracks_of[peer].add(uptrack)
        self._peer_of[uptrack] = peer
        return uptrack

    def remove_uptrack(self, uptrack: int) -> None:
        """Forget a published track: who takes it falls silent. A second call does nothing."""
        if (peer := self._peer_of.get(uptrack)) is None:
            return
        self._uptracks_of[peer].remove(uptrack)
        self._forget_uptrack(uptrack)
        self._native.remove_uptrack(uptrack)

    def add_downtrack(self, peer: int, config: DowntrackConfig) -> int:
        """A track to send to this peer; silent until `set_source`.

        Its SSRCs are fresh, or of tracks of this peer that were removed lately.
        """
        return self._native.add_downtrack(peer, config)

    def remove_downtrack(self, downtrack: int) -> None:
        """Send this track no more. A second call does nothing."""
        self._native.remove_downtrack(downtrack)

    def set_source(self, downtrack: int, uptrack: int | None) -> None:
        """Feed a downtrack from an uptrack of the same codec, or from nothing."""
        self._native.set_source(downtrack, uptrack)

    def set_paused(self, downtrack: int, paused: bool) -> None:
        """Stop or resume a downtrack without forgetting its source."""
        self._native.set_paused(downtrack, paused)

    def set_limit(self, downtrack: int, stream: int, spatial: int, temporal: int) -> None:
        """Send no more of a downtrack's source than this simulcast stream and these layers."""
        self._native.set_limit(downtrack, stream, spatial, temporal)

    def set_playout_delay(self, downtrack: int, least: float, most: float) -> None:
        """How long, in seconds, a track should wait at a viewer before it is shown or played."""
        self._native.set_playout_delay(downtrack, least, most)

    def set_wanted(self, peer: int, bits_per_second: int) -> None:
        """What would be sent to a peer if its line carried it."""
        self._native.set_wanted(peer, bits_per_second)

    def watch_link(self, peer: int, handler: LinkHandler) -> None:
        """Tell this handler what the way to a peer carries, until the peer is removed."""
        self._links[peer] = handler

    def watch_layers(self, uptrack: int, handler: LayersHandler) -> None:
        """Tell this handler what an uptrack's layers cost, until it is removed."""
        self._layers[uptrack] = handler

    def watch_wanted(self, uptrack: int, handler: WantedHandler) -> None:
        """Tell this handler which streams of an uptrack anybody takes, until it is removed."""
        self._wanted[uptrack] = handler

    def watch_speech(self, uptrack: int, handler: SpeechHandler) -> None:
        """Tell this handler when somebody speaks on an uptrack, until it is removed."""
        self._speech[uptrack] = handler

    def freshen(self, uptrack: int) -> None:
        """A viewer is about to come: ask for a keyframe, unless there was one a moment ago."""
        self._native.freshen(uptrack)

    # --- journals

    def open_journal(self, directory: Path, handler: JournalHandler) -> int:
        """Create a journal in `directory`. Raises EngineError when it cannot be written."""
        try:
            journal = self._native.open_journal(str(directory))
        except OSError as error:
            raise EngineError(f"the journal {directory} cannot be opened: {error}") from error
        self._journals[journal] = handler
        return journal

    def journal_track(self, journal: int, track: int, uptrack: int) -> None:
        """Record an uptrack as number `track` (1-65535, unique in the journal)."""
        self._native.journal_track(journal, track, uptrack)

    def journal_event(self, journal: int, json: str) -> None:
        """Append a lesson event (one JSON object)."""
        self._native.journal_event(journal, json)

    def keep_of_journals(self, keeps: str) -> None:
        """What all journals take from now on: "everything", "sound" or "events"."""
        self._native.keep_of_journals(keeps)

    async def close_journal(self, journal: int) -> None:
        """Write what waits and release the lock; returns when it is on disk."""
        await asyncio.to_thread(self._native.close_journal, journal)
        self._journals.pop(journal, None)

    # --- the whole

    def stats(self) -> Stats:
        """A snapshot of all counters."""
        return parse_stats(self._native.stats())

    async def close(self) -> None:
        """Stop the threads; close the sockets and what journals are still open. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._native.event_fd)
        await asyncio.to_thread(self._native.close)

    def _forget_uptrack(self, uptrack: int) -> None:
        del self._peer_of[uptrack]
        del self._streams[uptrack]
        self._layers.pop(uptrack, None)
        self._wanted.pop(uptrack, None)
        self._speech.pop(uptrack, None)

    def _dispatch_waiting(self) -> None:
        for event in self._native.poll_events():
            try:
                _DISPATCH[type(event).__name__](self, event)
            except Exception:
                logger.exception("a handler of %s failed", type(event).__name__)

    def _on_dtls(self, event: "_media.Dtls") -> None:
        if handler := self._peers.get(event.peer):
            handler.on_dtls(event.datagram)

    def _on_connected(self, event: "_media.Connected") -> None:
        if handler := self._peers.get(event.peer):
            handler.on_reachable(event.host, event.port)

    def _on_consent_lost(self, event: "_media.ConsentLost") -> None:
        if handler := self._peers.get(event.peer):
            handler.on_consent_lost()

    def _on_stream_started(self, event: "_media.StreamStarted") -> None:
        if handler := self._streams.get(event.uptrack):
            handler(event.rid, event.ssrc)

    def _on_layers_changed(self, event: "_media.LayersChanged") -> None:
        if handler := self._layers.get(event.uptrack):
            handler(event.uptrack, event.rates)

    def _on_layers_wanted(self, event: "_media.LayersWanted") -> None:
        if handler := self._wanted.get(event.uptrack):
            handler(event.uptrack, event.streams)

    def _on_speaking(self, event: "_media.Speaking") -> None:
        if handler := self._speech.get(event.uptrack):
            handler(event.uptrack, event.level, event.active)

    def _on_link_changed(self, event: "_media.LinkChanged") -> None:
        if handler := self._links.get(event.peer):
            handler(Link(event.bits_per_second, event.rtt, event.loss, event.tcp))

    def _on_journal_failed(self, event: "_media.JournalFailed") -> None:
        if handler := self._journals.get(event.journal):
            handler.on_journal_failed(event.reason)

    def _on_journal_recovered(self, event: "_media.JournalRecovered") -> None:
        if handler := self._journals.get(event.journal):
            handler.on_journal_recovered(event.dropped)


# By class name, so that the events of a test double pass without the native module.
_DISPATCH: Mapping[str, Callable[[Engine, Any], None]] = {
    "Dtls": Engine._on_dtls,
    "Connected": Engine._on_connected,
    "ConsentLost": Engine._on_consent_lost,
    "StreamStarted": Engine._on_stream_started,
    "LayersChanged": Engine._on_layers_changed,
    "LayersWanted": Engine._on_layers_wanted,
    "Speaking": Engine._on_speaking,
    "LinkChanged": Engine._on_link_changed,
    "JournalFailed": Engine._on_journal_failed,
    "JournalRecovered": Engine._on_journal_recovered,
}


def start_engine(config: EngineConfig) -> Engine:
    """Bind the sockets and start the native threads, on the running loop.

    Raises EngineError with one sentence when an address or port cannot be had.
    """
    from sfu import _media  # here, so that the pure parts import without the native module

    last = config.port + config.shards - 1
    if last > 65535:
        raise EngineError(
            f"{config.shards} shards need the UDP ports {config.port} to {last}, and 65535 is the "
            "last there is; choose a lower rtc.udp_port, or fewer rtc.shards"
        )
    try:
        native = _media.Engine(config)
    except OSError as error:
        kind, port = _taken_port(config)
        raise EngineError(
            f"{kind.upper()} {config.host}:{port} cannot be bound ({error}); "
            f"choose another rtc.{kind}_port, or stop what uses it"
        ) from error
    return Engine(native, asyncio.get_running_loop())


def _taken_port(config: EngineConfig) -> tuple[str, int]:
    """Which of the ports it is that cannot be had: the native side does not say."""
    ports = [("udp", config.port + shard) for shard in range(config.shards)]
    if config.tcp_port is not None:
        ports.append(("tcp", config.tcp_port))
    taken = (port for port in ports if not _is_free(config.host, *port))
    return next(taken, ports[0])


def _is_free(host: str, kind: str, port: int) -> bool:
    try:
        if kind == "tcp":
            socket.create_server((host, port)).close()
        else:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((host, port))
    except OSError:
        return False
    return True
