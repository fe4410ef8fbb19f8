"""What the journal is told of a lesson, besides its media. Pure; `recorder` reads some of it."""

import json
from collections.abc import Mapping
from typing import Any

from recorder.archive.details import given
from signaling.events import Member, Publication, Said

Note = Mapping[str, Any]


def lesson_started(name: str, lesson_id: str) -> Note:
    """The first note."""
    return {"type": "lesson_started", "lesson": name, "title": name, "id": lesson_id}


def lesson_described(metadata: str) -> Note | None:
    """What the room's metadata says of the lesson: a JSON object with `title`, `school`, `subject`,
    `grade`, `teacher`, `series`, `language`, `notes` or `tags`. None where it says none of it.
    """
    try:
        value = json.loads(metadata) if metadata.lstrip().startswith("{") else {}
    except (ValueError, RecursionError):
        return None
    details = given(value)
    return {"type": "lesson_described", **details} if details else None


def lesson_ended(reason: str) -> Note:
    """The last note."""
    return {"type": "lesson_ended", "reason": reason}


def of_member(kind: str, member: Member) -> Note:
    """Something that a member did, or that was done to it: "member_joined", "hand_raised"..."""
    return {"type": kind, "identity": member.identity, "role": str(member.role)}


def chat(member: Member, said: Said) -> Note:
    """What a member wrote to everybody."""
    return {
        **of_member("chat", member),
        "name": member.name,
        "message": said.message,
        "text": said.text,
        "edited": said.edited,
    }


def track_published(publication: Publication, publisher: Member) -> Note:
    """What a player of the track must know of it."""
    track = publication.track
    return {
        "type": "track_published",
        "track": publication.number,
        "kind": track.kind,
        "source": track.source,
        "codec": track.codec,
        "clock_rate": track.clock_rate,
        "parameters": dict(track.parameters),
        "member": publisher.number,
        "identity": publisher.identity,
        "role": str(publisher.role),
    }


def track_unpublished(publication: Publication) -> Note:
    """No more of the track comes."""
    return {"type": "track_unpublished", "track": publication.number}


def track_muted(publication: Publication) -> Note:
    """Whether the track is to be heard or seen now."""
    muted = publication.muted or publication.silenced
    return {"type": "track_muted", "track": publication.number, "muted": muted}


def recording_limited(keeps: str) -> Note:
    """The disk is full, or is not any more: "everything", "sound" or "events" is recorded."""
    return {"type": "recording_limited", "keeps": keeps}
