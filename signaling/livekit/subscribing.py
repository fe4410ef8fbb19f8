"""What one participant watches: from what is announced, and what it asks for, to its downtracks."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from livekit.protocol import models, rtc

from signaling.connection import Downtrack
from signaling.delivery import Cap
from signaling.events import Publication, Unwatched, Watch, Watching
from signaling.livekit import messages
from signaling.livekit.house import House
from signaling.livekit.layers import cap as cap_of
from signaling.livekit.layers import offered
from signaling.livekit.negotiation import Negotiator, Wanted


@dataclass(slots=True)
class _Subscription:
    publication: Publication
    downtrack: Downtrack | None = None
    watched: bool = False
    cap: Cap | None = None


class Subscriptions:
    """One session's. `auto` takes whatever is announced, unless the client has said no."""

    def __init__(
        self,
        session: str,
        house: House,
        negotiator: Negotiator,
        *,
        auto: bool,
        send: Callable[[bytes], None],
    ) -> None:
        """`send` tells the client."""
        self._session = session
        self._classroom = house.classroom
        self._presence = house.presence
        self._negotiator = negotiator
        self._auto = auto
        self._send = send
        self._delivery = house.classroom.delivery
        self._denied: set[int] = set()  # which it was told that it may not have
        self._asked: dict[int, bool] = {}  # what the client has said itself, by number
        self._current: dict[int, _Subscription] = {}  # by number

    @property
    def watches(self) -> list[Watch]:
        """What is watched now."""
        found = self._current.values()
        return [self._watch(s, s.downtrack) for s in found if s.downtrack and s.watched]

    def review(self, publications: Iterable[Publication]) -> None:
        """Begin what the client should get of these, end what it may no longer have."""
        for publication in publications:
            number = publication.number
            if publication.session == self._session:
                continue
            may = self._classroom.lesson.may_watch(self._session, number)
            self._tell_permission(publication, may)
            wanted = may and self._asked.get(number, self._auto)
            if wanted and number not in self._current:
                self._begin(publication)
            elif not wanted and number in self._current:
                self.end(number)

    def ask(self, sids: Iterable[str], *, subscribe: bool) -> None:
        """The client wants these tracks, or wants them no more."""
        found = [self._presence.publication(sid) for sid in sids]
        publications = [publication for publication in found if publication is not None]
        for publication in publications:
            self._asked[publication.number] = subscribe
        self.review(publications)

    def end(self, number: int) -> None:
        """Send this no more: it is withdrawn, or not wanted."""
        gone = self._current.pop(number, None)
        if gone is None:
            return
        self._stop(gone)
        self._negotiator.unwant(number)

    def forget(self, number: int) -> None:
        """A publication is withdrawn for good; its number does not come again."""
        self._asked.pop(number, None)
        self._denied.discard(number)
        self.end(number)

    def begun(self, wanted: Wanted, downtrack: Downtrack) -> None:
        """It has a downtrack now (a new one, where the client moved it to another section)."""
        subscription = self._current.get(wanted.number)
        if subscription is None:
            return
        self._stop(subscription)
        subscription.downtrack = downtrack
        if self._negotiator.subscriber.connected:
            self._start(subscription)

    def connected(self) -> None:
        """Media can flow: not before now are downtracks fed."""
        for subscription in self._current.values():
            if not subscription.watched:
                self._start(subscription)

    def refused(self, wanted: Wanted) -> bytes:
        """The client cannot decode it: what to tell it."""
        self._current.pop(wanted.number, None)
        self._asked[wanted.number] = False
        error = models.SE_CODEC_UNSUPPORTED
        return messages.pack(
            subscription_response=rtc.SubscriptionResponse(track_sid=wanted.track, err=error)
        )

    def set(self, settings: rtc.UpdateTrackSettings) -> None:
        """`track_setting`: how much of these tracks the client can show."""
        for sid in settings.track_sids:
            publication = self._presence.publication(sid)
            found = self._current.get(publication.number) if publication is not None else None
            info = self._presence.track(found.publication.track.uptrack) if found else None
            if found is not None and info is not None:
                streams = len(info.layers) if info.simulcast else 1
                found.cap = cap_of(settings, info, streams)
                self._apply(found)

    def track_of(self, downtrack: int) -> tuple[str, str] | None:
        """Publisher's sid and track's sid of what is sent on a downtrack."""
        for subscription in self._current.values():
            if subscription.downtrack is not None and subscription.downtrack.id == downtrack:
                publication = subscription.publication
                info = self._presence.track(publication.track.uptrack)
                owner = self._presence.info(publication.session)
                return (owner.sid, info.sid) if info is not None else None
        return None

    def _tell_permission(self, publication: Publication, may: bool) -> None:
        """A publisher does not let this client have a track, or lets it again."""
        if may == (publication.number not in self._denied):
            return
        self._denied ^= {publication.number}
        info = self._presence.track(publication.track.uptrack)
        if info is not None:
            owner = self._presence.info(publication.session).sid
            self._send(messages.permission(owner, info.sid, allowed=may))

    def _begin(self, publication: Publication) -> None:
        info = self._presence.track(publication.track.uptrack)
        if info is None:
            return
        owner = self._presence.info(publication.session).sid
        self._current[publication.number] = _Subscription(publication)
        stream = f"{owner}|{info.stream or info.sid}"
        track = publication.track
        wanted = Wanted(
            publication.number, track.kind, track.codec, stream, info.sid, track.encrypted
        )
        self._negotiator.want(wanted)

    def _start(self, subscription: _Subscription) -> None:
        if subscription.downtrack is None:
            return
        subscription.watched = True
        watch = self._watch(subscription, subscription.downtrack)
        kind = subscription.publication.track.kind
        self._delivery.watch(self._session, watch.downtrack, watch.source, kind)
        self._classroom.tell(Watching(self._session, (watch,)))
        self._apply(subscription)

    def _watch(self, subscription: _Subscription, downtrack: Downtrack) -> Watch:
        publication = subscription.publication
        return Watch(
            self._session,
            downtrack.id,
            publication.track.source,
            downtrack.codec.name,
            publication=publication.number,
        )

    def _stop(self, subscription: _Subscription) -> None:
        """Its downtrack is fed no more."""
        if subscription.watched and subscription.downtrack is not None:
            subscription.watched = False
            self._classroom.tell(Unwatched(self._session, (subscription.downtrack.id,)))
            self._delivery.unwatch(self._session, subscription.downtrack.id)

    def _apply(self, subscription: _Subscription) -> None:
        if not subscription.watched or subscription.downtrack is None:
            return
        if subscription.cap is not None:
            cap = offered(subscription.cap, subscription.publication.track.rids)
            self._delivery.cap(self._session, subscription.downtrack.id, cap)
