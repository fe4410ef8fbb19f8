"""Who and what is in a lesson, and what a lesson is told. Plain data, of no protocol.

`lesson.py` says what follows from it, as `effects.py`.

A session is one seat: whoever seats a member gives it a name nobody can guess. Where an event has
a field `by`, it is the session of the member who wants it, or None for the house itself: the
caller has checked an administrator's token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MICROPHONE, CAMERA, SLIDES = "microphone", "camera", "slides"
SLIDES_AUDIO = "slides_audio"
"""The sound of what is shown on the slides."""
UNKNOWN = "unknown"
"""Its publisher does not say what it is."""

SOURCES = frozenset({MICROPHONE, CAMERA, SLIDES, SLIDES_AUDIO, UNKNOWN})
NOTHING: frozenset[str] = frozenset()
SPOKEN = frozenset({MICROPHONE, CAMERA})
"""What the floor allows to publish."""


class Role(StrEnum):
    """What a member is in the lesson."""

    TEACHER = "teacher"
    """Gives the lesson; there is one at most, and while the teacher is away the lesson waits."""
    ASSISTANT = "assistant"
    """May publish, and do to others all that the teacher may."""
    SCHOOL = "school"
    """Publishes while it has the floor."""
    OBSERVER = "observer"
    """Never publishes and never asks for the floor: an inspector, a parent."""
    RECORDER = "recorder"
    """A machine that takes what is published."""


STAFF = frozenset({Role.TEACHER, Role.ASSISTANT})
"""Those with authority over others."""


@dataclass(frozen=True, slots=True)
class Grants:
    """What a member's token allows at most; its role may allow less (see `roles.py`)."""

    publish: frozenset[str] = SOURCES
    """Sources."""
    subscribe: bool = True
    data: bool = True
    """Whether it may send messages to others."""
    metadata: bool = False
    """Whether it may change its own name, metadata and attributes."""
    hidden: bool = False
    """Whether others should not see that it is here. The lesson tells of it all the same: an
    adapter leaves it out."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in the lesson, by one connection. A snapshot: a change makes a new one."""

    session: str
    identity: str
    role: Role
    name: str = ""
    grants: Grants = Grants()
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    """Unique in the lesson, in the order of coming; who comes again has another."""


@dataclass(frozen=True, slots=True)
class Track:
    """A track as its publisher sends it."""

    uptrack: int
    kind: str
    source: str
    codec: str
    clock_rate: int
    parameters: Mapping[str, str] = field(default_factory=dict)
    rids: tuple[str, ...] = ()
    """Simulcast streams, in the order of the publisher's offer (RFC 8853)."""
    encrypted: bool = False
    """End to end: we cannot read it, so that recording it would be of no use."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A track in the lesson. A snapshot: a change makes a new one."""

    number: int
    """Unique in the lesson, never used again; also its number in the journal."""
    session: str
    track: Track
    muted: bool = False
    """Its publisher sends nothing."""
    silenced: bool = False
    """Somebody with authority has muted it: it is forwarded to nobody until its publisher
    unmutes it, or who silenced it takes that back."""


class Whose(StrEnum):
    """Whose source a downtrack wants that names no publication."""

    TEACHER = "teacher"
    """The teacher's; an assistant's while the teacher publishes none."""
    FLOOR = "floor"
    """That of whoever has the floor."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A downtrack: what it wants, and what its viewer can decode."""

    session: str
    downtrack: int
    source: str
    codec: str
    whose: Whose = Whose.TEACHER
    publication: int | None = None
    """This one and no other, whatever `whose` says."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may subscribe to a publisher's tracks."""

    everybody: bool = True
    identities: Mapping[str, frozenset[int] | None] = field(default_factory=dict)
    """Unless everybody: these, and which publications of it (None: all)."""

    def admits(self, identity: str, number: int) -> bool:
        """Whether the bearer of this identity may take this publication."""
        if self.everybody:
            return True
        if identity not in self.identities:
            return False
        numbers = self.identities[identity]
        return numbers is None or number in numbers


# --- events: coming and going


@dataclass(frozen=True, slots=True)
class Join:
    """Somebody asks for a seat."""

    session: str
    identity: str
    role: Role
    name: str = ""
    grants: Grants = Grants()
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    waits: bool = False
    """Whether it takes a seat though nothing is published yet."""
    unique: bool = False
    """Whether it replaces whoever sits there under the same identity."""


@dataclass(frozen=True, slots=True)
class Leave:
    """A member says goodbye. The teacher's goodbye ends the lesson."""

    session: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A member is gone without a goodbye; a teacher may come back."""

    session: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Somebody with authority sends a member away."""

    by: str | None
    session: str


@dataclass(frozen=True, slots=True)
class Keep:
    """The house prepares a lesson: it waits this many seconds though nobody is in it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed (asked for by a `WakeAt`)."""


@dataclass(frozen=True, slots=True)
class End:
    """Somebody with authority ends the lesson: "teacher", "removed" or "shutdown"."""

    reason: str


# --- events: media


@dataclass(frozen=True, slots=True)
class Published:
    """A member is connected and publishes these tracks."""

    session: str
    tracks: tuple[Track, ...]
    muted: frozenset[int] = frozenset()
    """Uptracks that are muted from the start."""


@dataclass(frozen=True, slots=True)
class Unpublished:
    """A member takes a track back."""

    session: str
    uptrack: int


@dataclass(frozen=True, slots=True)
class Watching:
    """A member wants these, besides what it wants already."""

    session: str
    watches: tuple[Watch, ...]


@dataclass(frozen=True, slots=True)
class Unwatched:
    """A member wants nothing more on these downtracks; they may be removed."""

    session: str
    downtracks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mute:
    """A publisher mutes or unmutes its own track."""

    session: str
    uptrack: int
    muted: bool


@dataclass(frozen=True, slots=True)
class Silence:
    """Somebody with authority mutes another's publication, or takes that back."""

    by: str | None
    number: int
    silenced: bool = True


@dataclass(frozen=True, slots=True)
class Admit:
    """A publisher says who may subscribe to its tracks."""

    session: str
    audience: Audience


@dataclass(frozen=True, slots=True)
class Said:
    """A member wrote this to everybody."""

    session: str
    text: str
    message: str = ""
    """Its name, where its client gave it one."""
    edited: bool = False
    """It takes the place of what the member wrote under that name; "" takes it back."""


# --- events: the floor


@dataclass(frozen=True, slots=True)
class RaiseHand:
    """A school asks for the floor."""

    session: str


@dataclass(frozen=True, slots=True)
class LowerHand:
    """A school no longer asks, or somebody with authority says no."""

    by: str | None
    session: str


@dataclass(frozen=True, slots=True)
class GrantFloor:
    """Somebody with authority gives the floor to a member, hand raised or not; whoever has it
    loses it."""

    by: str | None
    session: str


@dataclass(frozen=True, slots=True)
class RevokeFloor:
    """The floor is free again: by authority, or because its holder gives it back."""

    by: str | None


# --- events: what is said of members and of the room


@dataclass(frozen=True, slots=True)
class Permit:
    """Somebody with authority changes what a member may do. What it may no longer publish is
    withdrawn at once."""

    by: str | None
    session: str
    grants: Grants
    role: Role | None = None
    """None: as it is. The teacher stays the teacher, and nobody else becomes it."""


@dataclass(frozen=True, slots=True)
class Describe:
    """A member changes what is said of itself, or somebody with authority does."""

    by: str | None
    session: str
    name: str | None = None
    """None: as it is; so is the metadata."""
    metadata: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    """To set; "" removes one."""


@dataclass(frozen=True, slots=True)
class DescribeRoom:
    """Somebody with authority changes the room's metadata."""

    by: str | None
    metadata: str


Event = (
    Join
    | Leave
    | Lost
    | Remove
    | Keep
    | Tick
    | End
    | Published
    | Unpublished
    | Watching
    | Unwatched
    | Mute
    | Silence
    | Admit
    | Said
    | RaiseHand
    | LowerHand
    | GrantFloor
    | RevokeFloor
    | Permit
    | Describe
    | DescribeRoom
)
