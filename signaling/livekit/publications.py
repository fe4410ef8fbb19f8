"""What one participant publishes, carried out: from its words and offers to the lesson.

Who asks for the floor may negotiate its tracks already. They flow to us and no further, nobody is
told of them, and they are published at the moment when it is given the floor.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from livekit.protocol import models, rtc

from sfu.negotiation import Codec, Offer
from signaling.connection import Connection
from signaling.errors import LessonError
from signaling.events import Mute, Track, Unpublished
from signaling.events import Published as Publish
from signaling.livekit import messages
from signaling.livekit.house import House
from signaling.livekit.layers import taken
from signaling.livekit.negotiation import Negotiator
from signaling.livekit.publishing import Published, Publishing, mime_type

logger = logging.getLogger(__name__)

_MAX_FEATURES = 16


class Publications:
    """One session's. What it may not publish it is told, and what it sends all the same is not
    taken."""

    def __init__(
        self,
        session: str,
        house: House,
        negotiator: Negotiator,
        send: Callable[[bytes], None],
    ) -> None:
        """`send` tells the client, at any time."""
        self._session = session
        self._send = send
        self._classroom = house.classroom
        self._presence = house.presence
        self._negotiator = negotiator
        self._publishing = Publishing(house.video_codecs)

    # --- what the client says

    def announce(self, request: rtc.AddTrackRequest) -> bytes:
        """`add_track`: what to answer, at once."""
        track = self._publishing.announce(request)
        if track is None:
            return _refusal(request, rtc.RequestResponse.LIMIT_EXCEEDED)
        if track.source not in self._classroom.lesson.may_prepare(self._session):
            self._publishing.forget(track)
            return _refusal(request, rtc.RequestResponse.NOT_ALLOWED)
        published = rtc.TrackPublishedResponse(cid=request.cid, track=track.info)
        return messages.pack(track_published=published)

    def mute(self, request: rtc.MuteTrackRequest) -> None:
        """The client mutes a track of its own. Raises LessonError."""
        track = self._publishing.by_sid(request.sid)
        if track is None:
            return
        track.info.muted = request.muted
        if track.uptrack is not None:
            self._classroom.handle(Mute(self._session, track.uptrack, request.muted))

    def update_audio(self, request: rtc.UpdateLocalAudioTrack) -> None:
        """Its features have changed."""
        if (track := self._publishing.by_sid(request.track_sid)) is not None:
            del track.info.audio_features[:]
            track.info.audio_features.extend(request.features[:_MAX_FEATURES])
            self._describe(track)

    def update_video(self, request: rtc.UpdateLocalVideoTrack) -> None:
        """Its size has changed."""
        if (track := self._publishing.by_sid(request.track_sid)) is not None:
            track.info.width, track.info.height = request.width, request.height
            self._describe(track)

    # --- what its offers say

    def plan(self, offer: Offer) -> list[Codec | None]:
        """In which codec we take what each section sends; a track that no section carries any more
        is published no more: no message says so."""
        sending = [s for s in offer.sections if s.sends and s.kind in ("audio", "video")]
        for track in self._publishing.ended(sending):
            self._unpublish(track)
        found = self._publishing.match(sending)
        return [
            self._publishing.choose(found[section.mid], section)
            if section.sends and section.mid in found
            else None
            for section in offer.sections
        ]

    def publish_all(self, publisher: Connection) -> None:
        """Media flows here: what has an uptrack is published, or waits for the floor."""
        lesson = self._classroom.lesson
        if self._session not in lesson.members:
            return  # it was sent away, and will be closed in a moment
        for track in list(self._publishing.tracks):
            up = publisher.uptracks.get(track.mid)
            if up is None or track.uptrack == up.id:
                continue
            self._withdraw(track)
            waits = track.source not in lesson.may_publish(self._session)
            if not waits or track.source not in lesson.may_prepare(self._session):
                self._publish(track, publisher)

    def review(self) -> None:
        """Other rules hold: publish what waited for them, give up what waits in vain."""
        lesson, publisher = self._classroom.lesson, self._negotiator.publisher
        if self._session not in lesson.members:
            return
        for track in list(self._publishing.tracks):
            if track.uptrack is None and track.source not in lesson.may_prepare(self._session):
                self._publishing.forget(track)
                self._stop(track)
                self._send(messages.track_unpublished(track.info.sid))
        if publisher is not None and publisher.connected:
            self.publish_all(publisher)

    # --- what others say

    def forbidden(self, uptrack: int) -> None:
        """The lesson has withdrawn a track of ours, which may go on coming."""
        track = self._publishing.by_uptrack(uptrack)
        if track is not None:
            track.uptrack = None
            self._publishing.forget(track)
            self._stop(track)

    def _on_wanted(self, uptrack: int, streams: Sequence[int]) -> None:
        """Engine: these streams are taken, by whomever. The client need not send better ones."""
        track = self._publishing.by_uptrack(uptrack)
        if track is None:
            return
        qualities = taken(streams, track.rids)
        resting = frozenset(q.quality for q in qualities if not q.enabled)
        if resting == track.resting:
            return
        track.resting = resting
        codec = track.info.mime_type.rpartition("/")[2].lower()
        update = rtc.SubscribedQualityUpdate(
            track_sid=track.info.sid,
            subscribed_qualities=qualities,
            subscribed_codecs=[rtc.SubscribedCodec(codec=codec, qualities=qualities)],
        )
        self._send(messages.pack(subscribed_quality_update=update))

    def lost(self) -> None:
        """The connection that carried them is gone."""
        for track in list(self._publishing.tracks):
            if track.mid:
                self._publishing.forget(track)
                self._withdraw(track)

    # --- carried out

    def _publish(self, track: Published, publisher: Connection) -> None:
        up = publisher.uptracks[track.mid]
        codec, track.uptrack = up.codec, up.id
        track.info.mime_type = mime_type(up.kind, codec.name)
        track.rids = up.rids
        track.info.simulcast = len(up.rids) > 1
        del track.info.codecs[:]
        track.info.codecs.append(_codec_info(track))
        self._presence.describe(up.id, track.info)
        new = Track(
            up.id,
            up.kind,
            track.source,
            codec.name,
            codec.clock_rate,
            codec.parameters,
            encrypted=track.encrypted,
            rids=up.rids,
        )
        muted = frozenset({up.id} if track.info.muted else ())
        try:
            self._classroom.handle(Publish(self._session, (new,), muted))
        except LessonError as error:
            logger.info("%s is not published: %s", track.info.sid, error)
            self.forbidden(up.id)
            return
        if up.kind == "video":
            self._on_wanted(up.id, range(max(1, len(up.rids))))  # all, until it is said
            self._classroom.config.media.engine.watch_wanted(up.id, self._on_wanted)

    def _unpublish(self, track: Published) -> None:
        self._withdraw(track)
        self._stop(track)

    def _withdraw(self, track: Published) -> None:
        if track.uptrack is not None:
            self._classroom.tell(Unpublished(self._session, track.uptrack))
            track.uptrack = None

    def _stop(self, track: Published) -> None:
        if (publisher := self._negotiator.publisher) is not None:
            publisher.stop_receiving(track.mid)

    def _describe(self, track: Published) -> None:
        if track.uptrack is not None:
            self._presence.describe(track.uptrack, track.info)


def _codec_info(track: Published) -> models.SimulcastCodecInfo:
    info = track.info
    cid = min(track.cids)
    return models.SimulcastCodecInfo(
        mime_type=info.mime_type, mid=track.mid, cid=cid, layers=info.layers
    )


def _refusal(request: rtc.AddTrackRequest, reason: Any) -> bytes:
    return messages.pack(request_response=rtc.RequestResponse(reason=reason, add_track=request))
