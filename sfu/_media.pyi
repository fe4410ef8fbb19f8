"""The seam: what Python may ask of the native media plane, and what it hears back.

Python decides, Rust moves the media. No RTP packet crosses this line on the live path;
commands go down, events come up, and both are few per second.

Ids are small integers that are never reused within one `Engine`. A command that names an
id which is already gone is ignored (the peer may have left while the command was on its
way); a command that cannot make sense raises `ValueError`.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, final

class EngineConfig(Protocol):
    """What an engine is made from (see `sfu.config.EngineConfig`)."""

    @property
    def host(self) -> str: ...  # address the UDP sockets bind to, "0.0.0.0" for all
    @property
    def port(self) -> int: ...  # UDP port of shard 0; shard i takes port + i; 0 = any free port
    @property
    def tcp_port(self) -> int | None: ...  # for ICE-TCP (RFC 6544); 0 = any free port; None = none
    @property
    def shards(self) -> int: ...  # threads, each with its own socket and peers
    @property
    def buffer_bytes(self) -> int: ...  # SO_RCVBUF and SO_SNDBUF asked for
    @property
    def consent_timeout(self) -> float: ...  # seconds without a STUN check until ConsentLost

class Codec(Protocol):
    """One RTP payload format, as negotiated (see `sfu.negotiation.Codec`)."""

    @property
    def name(self) -> str: ...  # "H264", "VP8", "VP9", "AV1", "opus"
    @property
    def payload_type(self) -> int: ...
    @property
    def clock_rate(self) -> int: ...  # Hz
    @property
    def rtx_payload_type(self) -> int | None: ...  # RFC 4588
    @property
    def red_payload_type(self) -> int | None: ...  # RFC 2198, sound only
    @property
    def flexfec_payload_type(self) -> int | None: ...  # FlexFEC draft 03, to a viewer only
    @property
    def nack(self) -> bool: ...  # a=rtcp-fb:<pt> nack was agreed

class UptrackConfig(Protocol):
    """One published media section (see `sfu.engine.UptrackConfig`)."""

    @property
    def kind(self) -> str: ...  # "audio" or "video"
    @property
    def mid(self) -> str: ...
    @property
    def codec(self) -> Codec: ...
    @property
    def extensions(self) -> Sequence[tuple[int, str]]: ...  # (id, URI), RFC 8285
    @property
    def rids(self) -> Sequence[str]: ...  # simulcast layers in the order offered, or empty
    @property
    def ssrcs(self) -> Sequence[int]: ...  # from a=ssrc, for senders without the MID extension

class DowntrackConfig(Protocol):
    """One media section sent to a viewer (see `sfu.engine.DowntrackConfig`)."""

    @property
    def kind(self) -> str: ...
    @property
    def mid(self) -> str: ...
    @property
    def codec(self) -> Codec: ...
    @property
    def extensions(self) -> Sequence[tuple[int, str]]: ...
    @property
    def ssrc(self) -> int: ...
    @property
    def rtx_ssrc(self) -> int | None: ...
    @property
    def cname(self) -> str: ...
    @property
    def fec_ssrc(self) -> int | None: ...

@final
class Dtls:
    """A DTLS datagram of a peer whose address is latched."""

    peer: int
    datagram: bytes

@final
class Connected:
    """A STUN check with the right password arrived: the peer's address is known (or moved).

    The address is the peer's end of a TCP connection, where it came by one.
    """

    peer: int
    host: str
    port: int

@final
class ConsentLost:
    """No STUN check for `consent_timeout` seconds (RFC 7675). Said once."""

    peer: int

@final
class StreamStarted:
    """The first packet of a published stream; `rid` is "" without simulcast."""

    uptrack: int
    rid: str
    ssrc: int

@final
class LayersChanged:
    """What the layers of a published track cost now; at most once a second."""

    uptrack: int
    rates: list[tuple[int, int, int, int]]
    """(simulcast stream in the order of the offer, spatial layer, temporal layer, bits a second
    on the wire with all layers below), for each layer that is being sent."""

@final
class LayersWanted:
    """Which simulcast streams of a published video track anybody takes, in the order of the offer.

    Until it is said first, all are wanted; [] is none. At most once a second: more as soon as it
    is so, less when it has been so for 5 s. What a stream costs that is stopped for it
    is told as before (`LayersChanged`), for it can be had again.
    """

    uptrack: int
    streams: list[int]

@final
class Speaking:
    """Somebody speaks on a published track of sound, by the level its packets tell (RFC 6464).

    Every 0.3 s at most while it is so, and once, not `active`, when it has ended.
    """

    uptrack: int
    level: float
    """Amplitude, 0 to 1 (the loudest there is), smoothed."""
    active: bool

@final
class LinkChanged:
    """What the way to a viewer carries now; a few times a second at most."""

    peer: int
    bits_per_second: int
    rtt: float
    """Round trip, seconds."""
    loss: float
    """Packets lost, 0 to 1, smoothed."""
    tcp: bool
    """Whether it is a TCP connection."""

@final
class JournalFailed:
    """The journal could not be written (disk full, folder gone). Live goes on."""

    journal: int
    reason: str

@final
class JournalRecovered:
    """The journal writes again; `dropped` records were lost in between."""

    journal: int
    dropped: int

Event = (
    Dtls
    | Connected
    | ConsentLost
    | StreamStarted
    | LayersChanged
    | LayersWanted
    | Speaking
    | LinkChanged
    | JournalFailed
    | JournalRecovered
)

@final
class Engine:
    """The native plane: shard threads, their sockets, and the journal writer."""

    def __init__(self, config: EngineConfig) -> None:
        """Bind the sockets and start the threads.

        Raises OSError (port taken, address not ours).
        """
    event_fd: int
    """Readable while events wait."""
    ports: list[int]
    """The UDP port of each shard."""
    tcp_port: int | None
    """The TCP port of all shards, if there is one."""
    def poll_events(self) -> list[Event]:
        """All events that wait, oldest first; clears `event_fd`. Never blocks."""
    def add_peer(self, shard: int, ufrag: str, pwd: str) -> int:
        """A peer of ours to be, known by its ICE credentials (ours, RFC 8445)."""
    def remove_peer(self, peer: int) -> None:
        """Forget the peer with all its tracks."""
    def rotate_credentials(self, peer: int, ufrag: str, pwd: str) -> None:
        """ICE restart: the new credentials count, the old ones stay valid for a few seconds."""
    def send_dtls(self, peer: int, datagram: bytes) -> None:
        """Send one datagram to the peer's latched address; dropped when there is none."""
    def set_keys(self, peer: int, profile: str, rx: bytes, tx: bytes) -> None:
        """SRTP master key + salt for each direction (RFC 5764, 4.2).

        `profile` is "SRTP_AEAD_AES_128_GCM" (28 bytes each) or "SRTP_AES128_CM_SHA1_80" (30).
        A DTLS server calls it before its last flight leaves, or the peer's first media is early; a
        client after, or ours is. Of early media a little is kept.
        """
    def add_uptrack(self, peer: int, config: UptrackConfig) -> int:
        """Expect a published track of this peer, at any time of the connection."""
    def remove_uptrack(self, uptrack: int) -> None:
        """Forget a published track: who takes it falls silent, and a journal has no more of it.

        Packets that still come of it are dropped, until a track of the same MID is added.
        """
    def add_downtrack(self, peer: int, config: DowntrackConfig) -> int:
        """A track to send to this peer; silent until it has a source.

        Its SSRCs are fresh ones, or of tracks of the peer that were removed lately: those go on
        with their numbers.
        """
    def remove_downtrack(self, downtrack: int) -> None:
        """Send this track no more."""
    def set_source(self, downtrack: int, uptrack: int | None) -> None:
        """Feed the downtrack from an uptrack of the same codec (of any peer, on any shard)."""
    def set_paused(self, downtrack: int, paused: bool) -> None: ...
    def set_limit(self, downtrack: int, stream: int | None, spatial: int, temporal: int) -> None:
        """Send no more than this of the source: simulcast stream (None: the best there is),
        spatial and temporal layer, 255 for all. Another stream begins with its next keyframe,
        which is asked for; where that stream is not being sent, the best cheaper one stands in.
        """
    def set_playout_delay(self, downtrack: int, least: float, most: float) -> None:
        """How long a track should wait at the viewer before it is shown or played, seconds.

        Pictures tell the viewer so; for sound it is what repair has time for.
        Raises ValueError unless 0 <= least <= most <= 40.95.
        """
    def set_wanted(self, peer: int, bits_per_second: int) -> None:
        """What would be sent if the line carried it: worth probing for, and no more than that."""
    def freshen(self, uptrack: int) -> None:
        """Ask the publisher for a keyframe; throttled and coalesced natively."""
    def open_journal(self, directory: str) -> int:
        """Create the directory's journal and hold its lock until closed.

        Raises OSError (not writable, locked by another writer).
        """
    def journal_track(self, journal: int, track: int, uptrack: int) -> None:
        """Record an uptrack under the caller's own number `track` (1-65535, once per journal)."""
    def journal_event(self, journal: int, json: str) -> None:
        """Append a lesson event (one JSON object)."""
    def keep_of_journals(self, keeps: str) -> None:
        """What all journals take from now on, and those that are opened later: "everything",
        "sound" (no video) or "events" (no media). What is refused is counted in `dropped_video`
        and `dropped_other`. Raises ValueError.
        """
    def close_journal(self, journal: int) -> None:
        """Write what waits, sync, release the lock. Returns when it is on disk.

        Raises OSError when the end could not be written (disk full).
        """
    def stats(self) -> dict[str, object]:
        """A snapshot of all counters: lists under "shards", "uptracks", "downtracks", "links",
        "listeners", "journals".

        Of TCP tell: each shard's `tcp_connections` and `tcp_queue_bytes` (now), `tcp_refused` (too
        many), `tcp_expelled` (no peer's, or broke the framing), `tcp_datagrams_out`, of them
        `tcp_dropped_stale` (what could not leave in time) and `tcp_dropped_closed`; each link's
        `transport` ("udp" or "tcp") and `queue_bytes`, what waits for its connection now; and the
        one row of "listeners": connections `accepted`, `delivered` to their shards, and dropped.

        The keys of each are those of `sfu/media/src/python/stats.rs`; see `sfu.stats`.
        """
    def close(self) -> None:
        """Stop the threads and close the sockets and journals. Idempotent."""

@final
class Frame:
    """One complete coded frame: Annex B, OBU stream, raw VP8 or VP9; or one Opus packet."""

    track: int
    timestamp: int
    """RTP timestamp, 32 bits, as sent on the (single, gapless) journal stream."""
    arrival_us: int
    """When its last packet arrived: microseconds since the Unix epoch."""
    keyframe: bool
    after_loss: bool
    """Packets were lost between the frame before and this one, or it was cut."""
    data: bytes

@final
class SenderReport:
    """The publisher's clock: this NTP time (RFC 3550, 64 bits) is this RTP timestamp."""

    track: int
    ntp: int
    timestamp: int
    arrival_us: int

@final
class LessonEvent:
    """A lesson event as given to `Engine.journal_event`."""

    arrival_us: int
    json: str

@final
class JournalEnd:
    """The writer closed the journal in good order; nothing follows."""

    arrival_us: int

Record = Frame | SenderReport | LessonEvent | JournalEnd

@final
class JournalReader:
    """Reads a journal, also while it is being written; frames are put together on the way."""

    def __init__(self, directory: str) -> None:
        """Raises FileNotFoundError when there is no journal, ValueError when it is not one."""
    def read(self, limit: int) -> list[Record]:
        """Up to about `limit` records; [] when caught up with the writer.

        Frames of one track come in order; late packets are waited for (1 s of the journal's
        own clock). Damaged records are skipped and counted.
        """
    def flush(self) -> list[Record]:
        """What is still held back waiting for lost packets: call it when the writer is gone."""
    bytes_read: int
    errors: int
    """Damaged or unreadable records so far."""

@final
class Timed:
    """A frame with its place in the lesson; `time_us` grows strictly within a track."""

    track: int
    time_us: int
    frame: Frame
    by_arrival: bool
    """Its clock makes no sense here: it was placed by its arrival."""

@final
class Timeline:
    """Places frames on the lesson's clock; `sfu/media/src/recording/timeline.rs` tells how.

    In: `add_track` before a track's first record, `handle_frame`, `handle_report`, `handle_time`
    in the journal's order, `finish` after the last. Arrivals may be given where they are not to be
    those in the record. Out: `poll` gives what is placed so far, in order within each track.

    A track that is bound has its frames handed on to samples as `take` meets them.
    """

    HOLD_US: ClassVar[int]
    """How long a lesson's first frames wait for a sender report."""
    LATE_HOLD_US: ClassVar[int]
    """How long those of a track wait that comes later, while others are watched live."""
    MAX_LAG_US: ClassVar[int]
    """Frames later than this, behind a stalled link, are taken for a broken clock."""
    SLEW: ClassVar[int]
    """The clock of sound is moved by 1/SLEW of the elapsed time,"""
    SLEW_PICTURES: ClassVar[int]
    """and that of pictures by 1/SLEW_PICTURES."""

    def __init__(self) -> None: ...
    def add_track(self, number: int, clock_rate: int, publisher: int) -> None:
        """Expect a track; tracks of one `publisher` (any number) share one wall clock."""
    def remove_track(self, number: int) -> None:
        """Nothing more comes of it: what is held is placed now. Raises KeyError."""
    def handle_frame(self, frame: Frame, arrival_us: int | None = None) -> None:
        """Place a frame, or hold it until its track's clock is known. Raises KeyError."""
    def handle_report(self, report: SenderReport, arrival_us: int | None = None) -> None:
        """Learn what a publisher's wall clock says of a track. Raises KeyError."""
    def handle_time(self, now_us: int) -> None:
        """The journal's clock has come to `now_us`."""
    def finish(self) -> None:
        """Place what is still held: nothing more will come."""
    def poll(self) -> list[Timed]:
        """What was placed since the last call."""
    def rebased(self, number: int) -> int:
        """How often a track's clock was given up, and begun anew from the arrivals."""
    @property
    def zero_us(self) -> int | None:
        """The node's time (Unix) of lesson time 0; None until the first frame is placed."""
    @property
    def horizon_us(self) -> int:
        """Frames before this lesson time will not come any more (or are not waited for)."""
    @property
    def publishers(self) -> int:
        """How many wall clocks are known."""
    def bind(
        self,
        number: int,
        samples: Samples,
        owner: _Owner,
        passed: Callable[[tuple[int, Frame]], object] | None = None,
    ) -> None:
        """Have `take` hand frames of a track that simply follow the last one to `samples`, whose
        `owner` writes what becomes whole. Sound has a `passed`, told of each packet's time."""
    def release(self, number: int) -> int:
        """Undo it; how many frames were handed on since."""
    def take(self, records: list[Record], at: int, shift: int, between: tuple[int, int]) -> int:
        """Go through the records from `at` on, while they are of bound tracks and their arrival,
        with `shift`, is after the first and not after the second of `between`.

        Returns where the first one is that was not handled. Then have those write that have
        `grown`, and `poll`: the last frame may be placed and not handed on.
        """
    def grown(self) -> list[_Owner]:
        """The owners whose samples have become parts since the last call."""

class _Owner(Protocol):
    def write(self) -> None:
        """Write what `Samples.poll` gives."""

@final
class Samples:
    """One rendition's samples, each lasting until the next: in by `add`, parts out by `poll`.

    Times are in ticks: of 48 kHz for sound, of 90 kHz for pictures. Where parts and segments end
    depends on them alone.
    """

    HOLD: ClassVar[int]
    """A video source silent for longer is held; also the longest held sample."""
    TOLERANCE: ClassVar[int]
    """How far a packet of sound may be off the last one's end and still follow it."""
    steady: bool
    """Frames that simply follow the last one may be taken."""
    noted_us: int
    """The lesson time up to which there is media of the source; fillings are none."""

    def __init__(self, codec: str, notable_us: int) -> None:
        """A pause of `notable_us` is not steady. Raises ValueError for a codec without samples."""
    def set_cut(self, longest: int, enough: int, shortest: int) -> None:
        """A part is no longer than `longest` unless a single sample is, and ends with `enough`; a
        segment ends where it can after `shortest`."""
    def add(self, start: int, data: bytes, length: int, sync: bool) -> None:
        """Add a sample, H264 as Annex B. After `length` the next one should start; a segment may
        begin with it if it is `sync`."""
    def flush(self, end: int, last: bool) -> None:
        """End the sample that waits; with `last`, the next one may begin a segment."""
    def close(self) -> None:
        """End the segment that is open, if one is."""
    def poll(self) -> list[tuple[bytes | None, int, int, bool]]:
        """What has become whole: a part (a CMAF chunk), when it starts and ends, and whether it
        begins with a sync sample; or None, when the segment of the parts so far starts and ends.
        """
    def unlisted(self) -> list[tuple[bytes, int, int]]:
        """Packets of sound since the last whole segment, but for the one that waits: data, start,
        duration."""
    @property
    def waiting(self) -> bytes:
        """The newest sample, whose end is not known; empty when there is none."""
    @property
    def is_waiting(self) -> bool:
        """There is one."""
    @property
    def start(self) -> int:
        """Where the newest sample starts, or started."""
    @property
    def next(self) -> int:
        """Where the next one should start: sound where the last packet ends, pictures not before a
        tick behind the last one's start."""
    @property
    def taken(self) -> int:
        """How many frames `Timeline.take` handed on to it."""

@final
class RawRecord:
    """A record as it is in the file; docs/journal.md tells what its body holds."""

    segment: int
    offset: int
    """Where it begins in the segment's file."""
    kind: int
    """1 event, 2 RTP, 3 sender report, 4 end."""
    track: int
    """The journal's number of the track, or 0."""
    arrival_us: int
    body: bytes

@final
class Damage:
    """A stretch that is no record; of 0 bytes where the whole segment is missing."""

    segment: int
    offset: int
    bytes: int

@final
class RawJournalReader:
    """Reads a journal's records in the order of its files, packets as they are: for tools."""

    def __init__(self, directory: str) -> None:
        """Raises FileNotFoundError when there is no journal, ValueError when it is not one."""
    def read(self, limit: int) -> list[RawRecord | Damage]:
        """Up to `limit` items; [] when caught up with the writer.

        Damage comes before the record behind it. Of more than 1,024 stretches in a row the rest is
        only counted.
        """
    def flush(self, limit: int) -> list[RawRecord | Damage]:
        """The same when the writer is gone: a torn end is damage. [] when there is no more."""
    bytes_read: int
    errors: int
    """Damaged stretches, missing segments and failed attempts to read so far."""

def read_packets(directory: str) -> list[tuple[int, int, bytes]]:
    """All RTP packets of a journal as (track, arrival_us, packet): for tools and tests."""
