"""What a lesson asks for when something has happened in it. Plain data.

`lesson.py` makes them; `classroom.py` carries out what concerns the media plane and the journal,
and hands the rest to its listeners (`LISTENED`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from signaling.events import Member, Publication, Track


class Reason(StrEnum):
    """Why a member is no longer here, or a publication is withdrawn."""

    LEFT = "left"
    LOST = "lost"
    REMOVED = "removed"
    """Sent away by somebody with authority."""
    DUPLICATE = "duplicate"
    """The same identity sits down elsewhere."""
    ENDED = "ended"
    """The lesson is over."""
    UNPUBLISHED = "unpublished"
    """Its publisher took it back."""
    FORBIDDEN = "forbidden"
    """Its publisher may no longer send it."""


# --- for the journal


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


# --- for the media plane


@dataclass(frozen=True, slots=True)
class Feed:
    """Feed a viewer's downtrack from this uptrack, or from nothing."""

    downtrack: int
    uptrack: int | None


@dataclass(frozen=True, slots=True)
class Forbid:
    """Forward nothing more of this uptrack, whatever its publisher goes on sending."""

    uptrack: int


# --- for members


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell a member."""

    session: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close a member's connection, and say why; it is no member any more."""

    session: str
    reason: Reason = Reason.ENDED


# --- what adapters show


@dataclass(frozen=True, slots=True)
class Arrived:
    """A member has a seat. What it publishes is announced later."""

    member: Member


@dataclass(frozen=True, slots=True)
class Departed:
    """A member is gone, and before it all it had. Not said of each when the lesson is over."""

    member: Member
    reason: Reason


@dataclass(frozen=True, slots=True)
class Changed:
    """A member's name, metadata, attributes, role, grants, or what it may publish changed."""

    member: Member


@dataclass(frozen=True, slots=True)
class Announced:
    """A member publishes this."""

    publication: Publication


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """It no longer does. Downtracks that want this very publication stay silent until unwatched."""

    publication: Publication
    reason: Reason


@dataclass(frozen=True, slots=True)
class Muted:
    """A publication was muted, unmuted, silenced, or released."""

    publication: Publication


@dataclass(frozen=True, slots=True)
class AudienceChanged:
    """A publisher has other wishes who may take its tracks: ask `Lesson.may_watch`."""

    session: str


@dataclass(frozen=True, slots=True)
class RoomChanged:
    """The floor, the raised hands or the room's metadata changed: see `Lesson.floor`."""


# --- for the lesson itself


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send a `Tick` at this time."""

    time: float


@dataclass(frozen=True, slots=True)
class Over:
    """Forget this lesson; its name is free."""


Effect = (
    StartRecording
    | Record
    | Note
    | StopRecording
    | Feed
    | Forbid
    | Notify
    | Disconnect
    | Arrived
    | Departed
    | Changed
    | Announced
    | Withdrawn
    | Muted
    | AudienceChanged
    | RoomChanged
    | WakeAt
    | Over
)

LISTENED = (
    Arrived,
    Departed,
    Changed,
    Announced,
    Withdrawn,
    Muted,
    AudienceChanged,
    RoomChanged,
    Disconnect,
    Over,
)
"""What a classroom's listeners hear."""
