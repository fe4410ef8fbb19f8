"""What a client says on its WebSocket, by the names of the protocol: one method a message."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from livekit.protocol import rtc

from signaling.errors import LessonError
from signaling.events import Admit
from signaling.livekit import messages
from signaling.livekit.audience import audience
from signaling.livekit.errors import MalformedRequest
from signaling.livekit.house import House
from signaling.livekit.negotiation import Negotiator
from signaling.livekit.profile import update_metadata
from signaling.livekit.publications import Publications
from signaling.livekit.subscribing import Subscriptions

logger = logging.getLogger(__name__)

_MAX_DISABLED = 1_000


@dataclass(frozen=True, slots=True)
class Requests:
    """One session's. `handle` raises MalformedRequest and NegotiationError; what the lesson does
    not allow is answered where the protocol has an answer, and passed over where it has none."""

    session: str
    house: House
    negotiator: Negotiator
    publications: Publications
    subscriptions: Subscriptions
    send: Callable[[bytes], None]
    settle: Callable[[], None]
    leave: Callable[[], None]

    def handle(self, raw: bytes) -> None:
        """One SignalRequest."""
        try:
            request = rtc.SignalRequest.FromString(raw)
        except DecodeError:
            raise MalformedRequest("its message is malformed") from None
        kind = request.WhichOneof("message")
        handler = _HANDLERS.get(kind or "")
        if handler is None or kind is None:
            return
        try:
            handler(self, getattr(request, kind))
        except LessonError as error:
            logger.debug("a %s is refused: %s", kind, error)

    # --- negotiation

    def offer(self, description: rtc.SessionDescription) -> None:
        """The client offers. Raises NegotiationError."""
        self.negotiator.take_offer(description.sdp, description.id)

    def _answer(self, description: rtc.SessionDescription) -> None:
        self.negotiator.take_answer(description.sdp, description.id)

    # --- publishing

    def add_track(self, request: rtc.AddTrackRequest) -> None:
        """The client will publish this."""
        self.send(self.publications.announce(request))

    def _mute(self, request: rtc.MuteTrackRequest) -> None:
        self.publications.mute(request)

    def _update_audio(self, request: rtc.UpdateLocalAudioTrack) -> None:
        self.publications.update_audio(request)

    def _update_video(self, request: rtc.UpdateLocalVideoTrack) -> None:
        self.publications.update_video(request)

    def _subscription_permission(self, request: rtc.SubscriptionPermission) -> None:
        event = Admit(self.session, audience(request, self.house.presence))
        self.house.classroom.handle(event)

    # --- subscribing

    def _subscription(self, request: rtc.UpdateSubscription) -> None:
        sids = [*request.track_sids]
        for tracks in request.participant_tracks:
            sids.extend(tracks.track_sids)
        self.subscriptions.ask(sids, subscribe=request.subscribe)
        self.settle()

    def _track_setting(self, request: rtc.UpdateTrackSettings) -> None:
        self.subscriptions.set(request)

    def sync_state(self, state: rtc.SyncState) -> None:
        """What a client that is back has, and wants."""
        received = {s.publisher_sid: s.last_seq for s in state.datachannel_receive_states}
        self.house.relay.replay(self.session, received)
        disabled = state.track_sids_disabled[:_MAX_DISABLED]
        self.subscriptions.set(rtc.UpdateTrackSettings(track_sids=disabled, disabled=True))

    # --- the rest

    def _update_metadata(self, request: rtc.UpdateParticipantMetadata) -> None:
        response = update_metadata(self.house.classroom, self.session, request)
        self.send(messages.pack(request_response=response))

    def _ping(self, timestamp: int) -> None:
        self.send(messages.pack(pong=_milliseconds()))

    def _ping_request(self, ping: rtc.Ping) -> None:
        pong = rtc.Pong(last_ping_timestamp=ping.timestamp, timestamp=_milliseconds())
        self.send(messages.pack(pong_resp=pong))

    def _leave(self, request: rtc.LeaveRequest) -> None:
        self.leave()


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000


_HANDLERS: Mapping[str, Callable[[Requests, Any], None]] = {
    "offer": Requests.offer,
    "answer": Requests._answer,
    "add_track": Requests.add_track,
    "mute": Requests._mute,
    "update_audio_track": Requests._update_audio,
    "update_video_track": Requests._update_video,
    "subscription_permission": Requests._subscription_permission,
    "subscription": Requests._subscription,
    "track_setting": Requests._track_setting,
    "sync_state": Requests.sync_state,
    "update_metadata": Requests._update_metadata,
    "ping": Requests._ping,
    "ping_req": Requests._ping_request,
    "leave": Requests._leave,
}
"""What else there is needs no answer: candidates, for one (ICE-lite learns addresses from the
checks themselves)."""
