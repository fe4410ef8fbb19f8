"""What an engine is made from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """The native plane's only constructor argument (see `_media.EngineConfig`)."""

    host: str = "0.0.0.0"
    """Address the UDP sockets bind to."""
    port: int = 7882
    """UDP port of shard 0; shard i takes `port + i`. 0 picks free ports."""
    tcp_port: int | None = None
    """The node's TCP port for those whose network blocks UDP; 0 picks a free one, None is none."""
    shards: int = 1
    """Threads, each with its own socket and peers; as many as cores is best."""
    buffer_bytes: int = 4 * 1024 * 1024
    """Socket buffers asked for: about 100 ms of 300 Mbit/s, a keyframe to every viewer at once."""
    consent_timeout: float = 30.0
    """Seconds without a STUN check until a peer counts as lost (RFC 7675, section 5.1)."""
