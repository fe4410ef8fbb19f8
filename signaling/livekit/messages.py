"""What we say to a client: each function makes one serialised SignalResponse."""

from collections.abc import Iterable, Mapping
from typing import Any

from livekit.protocol import models, rtc

PING_INTERVAL, PING_TIMEOUT = 5, 15
"""Seconds between a client's pings, and without an answer until it believes us gone."""
PROTOCOL = 17
"""The newest version of the protocol whose messages we speak."""
VERSION = "1.13.7"
"""The version of LiveKit whose behaviour clients may expect: the first to which browsers send VP9
and AV1 as simulcast."""

_SERVER = models.ServerInfo(
    edition=models.ServerInfo.Standard, version=VERSION, protocol=PROTOCOL, node_id="ND_tongbu"
)
_MIME_TYPES = {"H264": "video/H264", "VP8": "video/VP8", "VP9": "video/VP9", "AV1": "video/AV1"}


def pack(**message: Any) -> bytes:
    """One SignalResponse of this message, by its name in the protocol."""
    return rtc.SignalResponse(**message).SerializeToString()


def join(
    *,
    room: models.Room,
    participant: models.ParticipantInfo,
    others: Iterable[models.ParticipantInfo],
    video_codecs: Iterable[str],
    ice_servers: Iterable[rtc.ICEServer],
    subscriber_primary: bool,
    trailer: bytes,
) -> bytes:
    """The first thing that a client hears. Frames that end with `trailer` would be the server's
    own, which are not encrypted where all others are."""
    codecs = [*(_MIME_TYPES[name] for name in video_codecs), "audio/opus", "audio/red"]
    return pack(
        join=rtc.JoinResponse(
            room=room,
            participant=participant,
            other_participants=others,
            server_version=VERSION,
            server_info=_SERVER,
            ice_servers=ice_servers,
            subscriber_primary=subscriber_primary,
            ping_timeout=PING_TIMEOUT,
            ping_interval=PING_INTERVAL,
            enabled_publish_codecs=[models.Codec(mime=mime) for mime in codecs],
            sif_trailer=trailer,
        )
    )


def reconnect(last_sequence: int, ice_servers: Iterable[rtc.ICEServer]) -> bytes:
    """The first thing that a client hears which was here before."""
    response = rtc.ReconnectResponse(
        server_info=_SERVER, last_message_seq=last_sequence, ice_servers=ice_servers
    )
    return pack(reconnect=response)


def update(participants: Iterable[models.ParticipantInfo]) -> bytes:
    """How these participants are now."""
    return pack(update=rtc.ParticipantUpdate(participants=participants))


def room_update(room: models.Room) -> bytes:
    """How the room is now."""
    return pack(room_update=rtc.RoomUpdate(room=room))


def mute(track: str) -> bytes:
    """Somebody with authority has silenced this track of the client's."""
    return pack(mute=rtc.MuteTrackRequest(sid=track, muted=True))


def track_unpublished(track: str) -> bytes:
    """The client may not publish this track of its own any more."""
    return pack(track_unpublished=rtc.TrackUnpublishedResponse(track_sid=track))


def stream_state(participant: str, track: str, *, paused: bool) -> bytes:
    """A track is paused because the client's line does not carry it, or goes on."""
    state = rtc.StreamStateInfo(
        participant_sid=participant,
        track_sid=track,
        state=rtc.PAUSED if paused else rtc.ACTIVE,
    )
    return pack(stream_state_update=rtc.StreamStateUpdate(stream_states=[state]))


def permission(participant: str, track: str, *, allowed: bool) -> bytes:
    """Whether a publisher lets the client have a track."""
    update = rtc.SubscriptionPermissionUpdate(
        participant_sid=participant, track_sid=track, allowed=allowed
    )
    return pack(subscription_permission_update=update)


def description(kind: str, sdp: str, number: int, tracks: Mapping[str, str]) -> bytes:
    """Our "answer" or "offer"; `tracks` maps mids to the sids of what we send there."""
    said = rtc.SessionDescription(type=kind, sdp=sdp, id=number, mid_to_track_id=tracks)
    return pack(answer=said) if kind == "answer" else pack(offer=said)


def leave(reason: models.DisconnectReason, action: rtc.LeaveRequest.Action) -> bytes:
    """Go, for this reason, and come back or do not."""
    again = action != rtc.LeaveRequest.DISCONNECT
    return pack(leave=rtc.LeaveRequest(reason=reason, action=action, can_reconnect=again))


def refresh_token(token: str) -> bytes:
    """With this token the client may come back from now on."""
    return pack(refresh_token=token)


def sections_missing(audio: int, video: int) -> bytes:
    """Please offer, with this many more sections to receive in (v1)."""
    needs = rtc.MediaSectionsRequirement(num_audios=audio, num_videos=video)
    return pack(media_sections_requirement=needs)
