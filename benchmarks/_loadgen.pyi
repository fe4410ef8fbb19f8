"""The native load generator: one thread that is a teacher and a great many schools."""

from typing import TypedDict, final

class Snapshot(TypedDict):
    """The counts of one moment."""

    received: list[tuple[int, int, int, int, int, int]]
    """A client each: packets, bytes, lost, opened, unopened, time of the first packet (ns)."""
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
    """One way through the server, of the sampled viewers, since the last snapshot."""

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
        *,
        audio: tuple[int, int] | None = None,
        video: tuple[int, int] | None = None,
        sampled: bool = False,
    ) -> int:
        """A client of the server at "address:port" with these ICE credentials of the server's.

        `audio` and `video` (payload type, SSRC) make it a publisher; a sampled viewer opens
        its packets and times them.
        """
    def poll_dtls(self) -> list[tuple[int, bytes]]:
        """DTLS datagrams that came: of which client, and what."""
    def send_dtls(self, client: int, datagram: bytes) -> None: ...
    def set_keys(self, client: int, profile: str, rx: bytes, tx: bytes) -> None: ...
    def publish(
        self, client: int, *, video_bps: int, audio: bool = True, spread_us: int = 0
    ) -> None:
        """Send the trace from now on; a frame's packets spread over `spread_us`."""
    def flood(self, client: int, pps: int, seconds: float) -> None:
        """Let a seated client send garbage, wrong checks and forged SRTP, a third each."""
    def snapshot(self) -> Snapshot: ...

def limit_us_per_packet(
    destinations: list[str],
    *,
    video_bps: int,
    audio: bool = True,
    spread_us: int = 0,
    seconds: int = 5,
) -> tuple[int, float]:
    """Packets sent and CPU microseconds for each: sealing and GSO sends, nothing else."""
