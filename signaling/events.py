"""What a lesson is told (events), and what it asks for in return (effects). Plain data.

`lesson.py` says what follows from what; `classroom.py` carries the effects out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """What a member is in the lesson."""

    TEACHER = "teacher"
    SCHOOL = "school"


@dataclass(frozen=True, slots=True)
class Track:
    """A published track."""

    uptrack: int
    kind: str
    source: str
    codec: str
    clock_rate: int
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watch:
    """A viewer's downtrack: what it wants, and what it can decode."""

    session: str
    downtrack: int
    source: str
    codec: str

    def takes(self, track: Track) -> bool:
        """Whether this track is what the downtrack waits for."""
        return (self.source, self.codec) == (track.source, track.codec)


# --- events


@dataclass(frozen=True, slots=True)
class Join:
    """Somebody asks for a seat."""

    session: str
    identity: str
    role: Role


@dataclass(frozen=True, slots=True)
class Leave:
    """A member says goodbye. The teacher's goodbye ends the lesson."""

    session: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A member's connection is gone without a goodbye."""

    session: str


@dataclass(frozen=True, slots=True)
class Published:
    """A member is connected and publishes these tracks."""

    session: str
    tracks: tuple[Track, ...]


@dataclass(frozen=True, slots=True)
class Unpublished:
    """A member takes a track back."""

    session: str
    uptrack: int


@dataclass(frozen=True, slots=True)
class Watching:
    """A member wants these sources."""

    session: str
    watches: tuple[Watch, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed (asked for by a `WakeAt`)."""


@dataclass(frozen=True, slots=True)
class End:
    """Somebody with authority ends the lesson: "teacher" or "shutdown"."""

    reason: str


Event = Join | Leave | Lost | Published | Unpublished | Watching | Tick | End


# --- effects


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Open the journal."""


@dataclass(frozen=True, slots=True)
class Record:
    """Write this track to the journal."""

    number: int
    track: Track


@dataclass(frozen=True, slots=True)
class Note:
    """Write this event to the journal."""

    event: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StopRecording:
    """Close the journal."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Feed a viewer's downtrack from this uptrack, or from nothing."""

    downtrack: int
    uptrack: int | None


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell a member."""

    session: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close a member's connection."""

    session: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send a `Tick` at this time."""

    time: float


@dataclass(frozen=True, slots=True)
class Over:
    """Forget this lesson; its name is free."""


Effect = StartRecording | Record | Note | StopRecording | Feed | Notify | Disconnect | WakeAt | Over
