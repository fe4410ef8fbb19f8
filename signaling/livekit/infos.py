"""A lesson's members and publications in LiveKit's words. Pure: facts in, protobufs out."""

import json

from livekit.protocol import models

from signaling.effects import Reason
from signaling.events import SOURCES, Member, Publication, Role
from signaling.lesson import Lesson
from signaling.livekit.identifiers import (
    is_known_source,
    new_sid,
    to_source,
    track_prefix,
)

_DISCONNECTED = {
    Reason.LEFT: models.CLIENT_INITIATED,
    Reason.LOST: models.CONNECTION_TIMEOUT,
    Reason.REMOVED: models.PARTICIPANT_REMOVED,
    Reason.DUPLICATE: models.DUPLICATE_IDENTITY,
    Reason.ENDED: models.ROOM_CLOSED,
}


def disconnect_reason(reason: Reason) -> models.DisconnectReason:
    """Why a participant is no longer here, in LiveKit's words."""
    return _DISCONNECTED.get(reason, models.UNKNOWN_REASON)


def permission(lesson: Lesson, member: Member) -> models.ParticipantPermission:
    """What a member may do now, the floor included.

    A raised hand may publish: its tracks are made ready, and shown to others with the floor.
    """
    sources = lesson.may_prepare(member.session)
    named = sorted(filter(is_known_source, sources))
    return models.ParticipantPermission(
        can_subscribe=member.grants.subscribe,
        can_publish=bool(sources),
        can_publish_data=lesson.may_send(member.session),
        # An empty list means all that can_publish says.
        can_publish_sources=[] if sources >= SOURCES else [to_source(name) for name in named],
        can_update_metadata=member.grants.metadata,
        hidden=member.grants.hidden,
        recorder=member.role is Role.RECORDER,
    )


def participant(
    lesson: Lesson, member: Member, *, sid: str, joined_at: float
) -> models.ParticipantInfo:
    """A member who has just come; `joined_at` in Unix seconds."""
    info = models.ParticipantInfo(
        sid=sid,
        state=models.ParticipantInfo.ACTIVE,
        joined_at=int(joined_at),
        joined_at_ms=int(joined_at * 1000),
    )
    describe(info, lesson, member)
    return info


def describe(info: models.ParticipantInfo, lesson: Lesson, member: Member) -> None:
    """Let an info say what the lesson says of this member now, with a new version."""
    info.identity, info.name, info.metadata = member.identity, member.name, member.metadata
    info.attributes.clear()
    info.attributes.update(member.attributes)
    info.permission.CopyFrom(permission(lesson, member))
    info.version += 1


def track(publication: Publication) -> models.TrackInfo:
    """A track that nobody described: its publisher is no client of LiveKit's."""
    source, kind = publication.track.source, publication.track.kind
    mime = f"{kind}/{publication.track.codec.lower()}"
    info = models.TrackInfo(
        sid=new_sid(track_prefix(source, kind)),
        type=models.AUDIO if kind == "audio" else models.VIDEO,
        name=source,
        source=to_source(source),
        mime_type=mime,
        stream="screen" if source.startswith("slides") else "camera",
    )
    codec = info.codecs.add(mime_type=mime)
    if kind == "video":
        info.layers.add(quality=models.HIGH)
        codec.layers.add(quality=models.HIGH)
    if publication.track.encrypted:
        info.encryption = models.Encryption.GCM
    return info


def room(
    lesson: Lesson, *, sid: str, created_at: float, participants: int, publishers: int
) -> models.Room:
    """The room itself; `created_at` in Unix seconds."""
    return models.Room(
        sid=sid,
        name=lesson.name,
        departure_timeout=int(lesson.rules.linger),
        creation_time=int(created_at),
        creation_time_ms=int(created_at * 1000),
        metadata=room_metadata(lesson),
        num_participants=participants,
        num_publishers=publishers,
    )


def room_metadata(lesson: Lesson) -> str:
    """What was said of the room, and who has the floor and who asks for it.

    While nobody has or wants the floor it is what somebody with authority wrote, to the letter;
    else a JSON object: `floor` (an identity or null), `hands` (identities, who asked first
    first), and the keys of what was written, or, where that is no object, all of it as `metadata`.
    """
    if lesson.floor.holder is None and not lesson.floor.hands:
        return lesson.metadata
    said = {**_as_object(lesson.metadata), **lesson.floor.told(lesson.members)}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _as_object(metadata: str) -> dict[str, object]:
    if not metadata:
        return {}
    try:
        said = json.loads(metadata)
    except (json.JSONDecodeError, RecursionError):
        said = None
    return said if isinstance(said, dict) else {"metadata": metadata}
