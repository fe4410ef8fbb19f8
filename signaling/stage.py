"""What is published in a lesson, who wants it, and who is fed what. Pure.

A downtrack wants one publication (`Watch.publication`), or the source of somebody: the teacher's,
or that of whoever has the floor. Whatever changes, `refeed` looks again at those that want what
has changed, and at nobody else: its cost is theirs.

Every check is a `check_...` or raises before anything changes; the other methods cannot fail.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from signaling import notes
from signaling.effects import (
    Announced,
    Effect,
    Feed,
    Forbid,
    Muted,
    Note,
    Reason,
    Record,
    Withdrawn,
)
from signaling.errors import IllegalEvent, LimitExceeded, NotPermitted
from signaling.events import (
    CAMERA,
    MICROPHONE,
    SLIDES,
    STAFF,
    Audience,
    Member,
    Publication,
    Published,
    Role,
    Track,
    Watch,
    Watching,
    Whose,
)
from signaling.floor import Floor

MAX_TRACKS = 16
"""Publications of one member."""
MAX_WATCHES = 1_000
"""Downtracks of one member."""
_LAST_RECORDED = 65_535
"""A journal has no more numbers than this."""
_ONCE = frozenset({MICROPHONE, CAMERA, SLIDES})
"""What the teacher publishes once: schools that watch a source see one track of it."""

Want = int | tuple[Whose, str]
"""A publication's number, or somebody's source."""


@dataclass(slots=True)
class Stage:
    """The media of one lesson. `members` and `floor` are the lesson's own, and only read."""

    members: Mapping[str, Member]
    floor: Floor
    publications: dict[int, Publication] = field(default_factory=dict)
    """By uptrack, in the order of their numbers."""
    watches: dict[int, Watch] = field(default_factory=dict)
    """By downtrack."""
    _audiences: dict[str, Audience] = field(default_factory=dict)
    _uptracks: dict[int, int] = field(default_factory=dict)
    """By number."""
    _published_by: dict[str, dict[int, None]] = field(default_factory=dict)
    _watched_by: dict[str, dict[int, None]] = field(default_factory=dict)
    _watching: dict[Want, dict[int, None]] = field(default_factory=dict)
    _fed: dict[int, int] = field(default_factory=dict)
    _last_number: int = 0

    # --- what others ask

    def publication(self, number: int) -> Publication | None:
        """The publication of that number, while there is one."""
        uptrack = self._uptracks.get(number)
        return None if uptrack is None else self.publications[uptrack]

    def published_by(self, session: str) -> list[Publication]:
        """What a member publishes."""
        return [self.publications[uptrack] for uptrack in self._published_by.get(session, ())]

    def fed(self, downtrack: int) -> Publication | None:
        """What feeds a downtrack now."""
        uptrack = self._fed.get(downtrack)
        return None if uptrack is None else self.publications[uptrack]

    def may_watch(self, session: str, publication: Publication) -> bool:
        """Whether a member may take a publication of another."""
        member = self.members[session]
        if session == publication.session or not member.grants.subscribe:
            return False
        audience = self._audiences.get(publication.session)
        return audience is None or audience.admits(member.identity, publication.number)

    def wanted(self, want: Want) -> Publication | None:
        """What there is of it now."""
        if isinstance(want, int):
            return self.publication(want)
        whose, source = want
        if whose is Whose.TEACHER:
            return self._main(source)
        holder = self.floor.holder
        own = self.published_by(holder) if holder is not None else []
        return next((p for p in own if p.track.source == source), None)

    # --- publishing

    def check_published(self, event: Published, allowed: frozenset[str]) -> None:
        """Raise LessonError unless the member, who may publish `allowed`, may publish this."""
        member = self.members[event.session]
        sources = [track.source for track in event.tracks]
        uptracks = [track.uptrack for track in event.tracks]
        if not set(sources) <= allowed:
            raise NotPermitted(f"This {member.role} may not publish this now.")
        if not uptracks or len(set(uptracks)) < len(uptracks):
            raise IllegalEvent("There is nothing new to publish.")
        if not self.publications.keys().isdisjoint(uptracks):
            raise IllegalEvent("This track is published already.")
        sources += [p.track.source for p in self.published_by(event.session)]
        if len(sources) > MAX_TRACKS:
            raise LimitExceeded(f"A member may publish {MAX_TRACKS} tracks.")
        once = [source for source in sources if source in _ONCE]
        if member.role is Role.TEACHER and len(set(once)) < len(once):
            raise IllegalEvent("The teacher publishes this source already.")

    def publish(self, event: Published) -> list[Effect]:
        """Number the tracks, record them, feed those who wait for them."""
        effects: list[Effect] = []
        added = [self._add(event, track) for track in event.tracks]
        for publication in added:
            # The note first: whoever reads the journal knows a track before its frames.
            member = self.members[event.session]
            effects.append(Note(notes.track_published(publication, member)))
            if publication.number <= _LAST_RECORDED and not publication.track.encrypted:
                effects.append(Record(publication.number, publication.track))
        effects += [Announced(publication) for publication in added]
        return effects + self.refeed(want for p in added for want in _wants(p))

    def withdraw(self, publications: Iterable[Publication], reason: Reason) -> list[Effect]:
        """Take these back; who forbids them stops them too."""
        effects: list[Effect] = []
        for publication in list(publications):
            uptrack = publication.track.uptrack
            del self.publications[uptrack], self._uptracks[publication.number]
            del self._published_by[publication.session][uptrack]
            effects.append(Note(notes.track_unpublished(publication)))
            effects += self.refeed(_wants(publication))
            if reason is Reason.FORBIDDEN:
                effects.append(Forbid(uptrack))
            effects.append(Withdrawn(publication, reason))
        return effects

    def mute(self, publication: Publication, *, muted: bool, silenced: bool) -> list[Effect]:
        """Note what its publisher and others want of it."""
        if (publication.muted, publication.silenced) == (muted, silenced):
            return []
        changed = replace(publication, muted=muted, silenced=silenced)
        self.publications[changed.track.uptrack] = changed
        told: list[Effect] = [Note(notes.track_muted(changed)), Muted(changed)]
        return [*self.refeed(_wants(changed)), *told]

    def admit(self, session: str, audience: Audience) -> list[Effect]:
        """Who may take a publisher's tracks from now on."""
        self._audiences[session] = audience
        return self.refeed_publisher(session)

    # --- watching

    def check_watching(self, event: Watching) -> None:
        """Raise LessonError unless these are new downtracks of the member, of what there is."""
        downtracks = {watch.downtrack for watch in event.watches}
        foreign = any(watch.session != event.session for watch in event.watches)
        known = not self.watches.keys().isdisjoint(downtracks)
        if foreign or known or len(downtracks) < len(event.watches):
            raise IllegalEvent("These downtracks are not this session's own new ones.")
        wanted = {watch.publication for watch in event.watches} - {None}
        if not wanted <= self._uptracks.keys():
            raise IllegalEvent("What is to be watched is not published.")
        if len(downtracks) + len(self._watched_by.get(event.session, ())) > MAX_WATCHES:
            raise LimitExceeded(f"A member may watch {MAX_WATCHES} tracks.")

    def watch(self, event: Watching) -> list[Effect]:
        """Feed new downtracks what they want."""
        own = self._watched_by.setdefault(event.session, {})
        effects: list[Effect] = []
        for watch in event.watches:
            want = _want(watch)
            self.watches[watch.downtrack] = watch
            own[watch.downtrack] = None
            self._watching.setdefault(want, {})[watch.downtrack] = None
            effects += self._feed(watch, self.wanted(want))
        return effects

    def check_unwatched(self, session: str, downtracks: Iterable[int]) -> None:
        """Raise IllegalEvent unless the member watches by all of these."""
        if not self._watched_by.get(session, {}).keys() >= set(downtracks):
            raise IllegalEvent("These downtracks are not this session's own.")

    def unwatch(self, downtracks: Iterable[int]) -> list[Effect]:
        """Silence these and forget them."""
        effects: list[Effect] = []
        for downtrack in list(downtracks):
            watch = self.watches.pop(downtrack)
            del self._watched_by[watch.session][downtrack]
            want = _want(watch)
            del self._watching[want][downtrack]
            if not self._watching[want]:
                del self._watching[want]
            effects += self._feed(watch, None)
        return effects

    # --- feeding

    def refeed(self, wants: Iterable[Want]) -> list[Effect]:
        """Look again at whoever wants these."""
        effects: list[Effect] = []
        for want in wants:
            if watching := self._watching.get(want):
                publication = self.wanted(want)
                for downtrack in watching:
                    effects += self._feed(self.watches[downtrack], publication)
        return effects

    def refeed_floor(self) -> list[Effect]:
        """Look again at whoever wants what the holder of the floor publishes."""
        return self.refeed([w for w in self._watching if isinstance(w, tuple) and _is_floor(w)])

    def refeed_publisher(self, session: str) -> list[Effect]:
        """Look again at whoever wants what a member publishes."""
        return self.refeed(want for p in self.published_by(session) for want in _wants(p))

    def refeed_viewer(self, session: str) -> list[Effect]:
        """Look again at what a member wants."""
        watches = [self.watches[downtrack] for downtrack in self._watched_by.get(session, ())]
        return [effect for w in watches for effect in self._feed(w, self.wanted(_want(w)))]

    def forget(self, session: str) -> None:
        """A member is gone, its publications before it: its downtracks went with it."""
        self.unwatch(self._watched_by.get(session, ()))
        for per_session in (self._watched_by, self._published_by, self._audiences):
            per_session.pop(session, None)

    def clear(self) -> None:
        """Everybody is gone."""
        for held in (
            self.publications,
            self.watches,
            self._audiences,
            self._uptracks,
            self._published_by,
            self._watched_by,
            self._watching,
            self._fed,
        ):
            held.clear()

    def _add(self, event: Published, track: Track) -> Publication:
        self._last_number += 1
        muted = track.uptrack in event.muted
        publication = Publication(self._last_number, event.session, track, muted)
        self.publications[track.uptrack] = publication
        self._uptracks[publication.number] = track.uptrack
        self._published_by.setdefault(event.session, {})[track.uptrack] = None
        return publication

    def _main(self, source: str) -> Publication | None:
        """The teacher's; while there is none, that of the assistant who was first."""
        assistants: Publication | None = None
        for publication in self.publications.values():
            if publication.track.source == source:
                role = self.members[publication.session].role
                if role is Role.TEACHER:
                    return publication
                if role in STAFF and assistants is None:
                    assistants = publication
        return assistants

    def _feed(self, watch: Watch, publication: Publication | None) -> list[Effect]:
        suits = publication is not None and self._suits(watch, publication)
        uptrack = publication.track.uptrack if publication is not None and suits else None
        if uptrack == self._fed.get(watch.downtrack):
            return []
        if uptrack is None:
            del self._fed[watch.downtrack]
        else:
            self._fed[watch.downtrack] = uptrack
        return [Feed(watch.downtrack, uptrack)]

    def _suits(self, watch: Watch, publication: Publication) -> bool:
        decodable = watch.codec == publication.track.codec
        allowed = self.may_watch(watch.session, publication)
        return decodable and allowed and not publication.silenced and not self._echoes(watch)

    def _echoes(self, watch: Watch) -> bool:
        """Whether whoever has the floor would hear itself, by another of its seats."""
        if watch.whose is not Whose.FLOOR or watch.publication is not None:
            return False
        holder = self.members.get(self.floor.holder or "")
        return holder is not None and holder.identity == self.members[watch.session].identity


def _want(watch: Watch) -> Want:
    return (watch.whose, watch.source) if watch.publication is None else watch.publication


def _wants(publication: Publication) -> list[Want]:
    """By what a publication may be wanted."""
    source = publication.track.source
    return [publication.number, (Whose.TEACHER, source), (Whose.FLOOR, source)]


def _is_floor(want: tuple[Whose, str]) -> bool:
    return want[0] is Whose.FLOOR
