"""What a session of LiveKit's needs of the lesson it is in."""

from collections.abc import Callable
from dataclasses import dataclass

from livekit.protocol import rtc

from signaling.classroom import Classroom
from signaling.connection import MediaPlane
from signaling.livekit.data import Relay
from signaling.livekit.presence import Presence


@dataclass(frozen=True, slots=True)
class House:
    """The lesson, and its LiveKit side. The same for all sessions in it."""

    classroom: Classroom
    presence: Presence
    relay: Relay
    media: MediaPlane
    video_codecs: tuple[str, ...]
    ice_servers: tuple[rtc.ICEServer, ...]
    trailer: bytes
    """What only the server's own frames would end with, to those who decrypt the others."""
    subscribed: Callable[[int], None]
    """To be told the number of a publication that somebody takes."""
    gone: Callable[[str], None]
    """To be told when a session is over."""
