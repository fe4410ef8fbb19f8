"""Names as LiveKit's clients expect them: prefixed ids, and its words for ours."""

import secrets
import string
from collections.abc import Mapping

from livekit.protocol import models

CLASSROOM = "classroom"
"""The identity of the server-side participant: it takes RPC and is in no list of participants."""

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 12
"""Of 62 letters: 71 bits, for a node's lifetime more than enough."""

_SOURCES: Mapping[str, models.TrackSource] = {
    "camera": models.CAMERA,
    "microphone": models.MICROPHONE,
    "slides": models.SCREEN_SHARE,
    "slides_audio": models.SCREEN_SHARE_AUDIO,
}
_OURS = {value: name for name, value in _SOURCES.items()}


def new_sid(prefix: str) -> str:
    """A random id: RM_ of a room, PA_ of a participant, TR_ of a track (TR_AM, TR_VC ...)."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def track_prefix(source: str, kind: str) -> str:
    """What a track's id begins with: it tells a reader of logs what kind of track it is."""
    letters = {"microphone": "M", "camera": "C", "slides": "S", "slides_audio": "A"}
    return "TR_" + ("A" if kind == "audio" else "V") + letters.get(source, "")


def to_source(source: str) -> models.TrackSource:
    """LiveKit's word for a source of ours."""
    return _SOURCES.get(source, models.UNKNOWN)


def from_source(source: models.TrackSource, kind: str) -> str:
    """Our word for LiveKit's source; a track that names none is a microphone or a camera."""
    return _OURS.get(source, "microphone" if kind == "audio" else "camera")


def is_known_source(source: str) -> bool:
    """Whether LiveKit has a word for it."""
    return source in _SOURCES
