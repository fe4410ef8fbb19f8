"""The native load generator: one thread that is a teacher and a great many schools."""

from typing import TypedDict, final

class Snapshot(TypedDict):
    """The counts of one moment."""

    received: list[list[int]]
    """A client each: packets, bytes, lost, opened, unopened, time of the first packet (ns),
    packets that came again (retransmissions), packets that were asked for again, bytes of
    header extensions in the last packet."""
    ports: list[int]
    """The UDP port of each."""
    published: int
    flooded: int
    """Hostile datagrams sent."""
    late_us_max: int
    """How late a packet left behind the trace, since the last snapshot."""
    cpu_us: float
    """CPU time of the generator's thread so far."""
    latencies_ns: list[int]
    """One way through the server, of the sampled viewers, since the last snapshot: from the
    teacher's send call to the kernel's stamp of arrival; none without `stamp_arrivals`."""

@final
class Generator:
    """All clients of one benchmark."""

    def __init__(self) -> None: ...
    def add(
        self,
        server: str,
        ufrag: str,
        pwd: str,
        local_ufrag: str,
        local_pwd: str = "",
        *,
        audio: tuple[int, int] | None = None,
        video: tuple[int, int] | None = None,
        sampled: bool = False,
        transport_cc: int | None = None,
        asks: tuple[int, int | None] | None = None,
        probes: int | None = None,
    ) -> int:
        """A client of the server at "address:port" with these ICE credentials of the server's.

        `local_pwd` answers the checks of a server that is a full ICE agent.
        `audio` and `video` (payload type, SSRC) make it a publisher; a sampled viewer opens
        its packets and times them. `transport_cc` is the id negotiated for the transport-wide
        sequence number (one-byte form): a publisher sends it, a viewer gives feedback on it
        every 100 ms. `asks` (payload type of the video, and of its retransmissions if they have
        one) lets a viewer ask for a fixed choice of one video packet in 1,000 again, as if lost.
        Packets of the payload type `probes` only probe the path: they are no media, and no loss.
        """
    def stamp_arrivals(self) -> None:
        """Who joins the sample from now on has the kernel stamp what arrives, for latencies."""
    def poll_dtls(self) -> list[tuple[int, bytes]]:
        """DTLS datagrams that came: of which client, and what."""
    def send_dtls(self, client: int, datagram: bytes) -> None: ...
    def set_keys(self, client: int, profile: str, rx: bytes, tx: bytes) -> None: ...
    def publish(
        self,
        client: int,
        *,
        video_bps: int,
        audio: bool = True,
        spread_us: int = 0,
        phase_us: int = 0,
    ) -> None:
        """Send the trace from now on, instead of what the client sends so far.

        A frame's packets are spread over `spread_us`; 0 sends them at once. It begins `phase_us` into the trace, which repeats every 10 s.
        """
    def flood(self, client: int, pps: int, seconds: float) -> None:
        """Let a seated client send garbage, wrong checks and forged SRTP, a third each."""
    def snapshot(self) -> Snapshot: ...

def limit_us_per_packet(
    destinations: list[str],
    *,
    video_bps: int,
    audio: bool = True,
    spread_us: int = 0,
    extension_bytes: int = 0,
    seconds: int = 5,
) -> tuple[int, float, float]:
    """Packets sent, bytes and CPU microseconds of each: sealing and GSO sends, nothing else.

    Packets have header extensions of so many bytes; those of a frame are evened out.
    """
