"""No sequence of events breaks a lesson's rules, and who listens always knows how it stands."""

import copy
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signaling.effects import (
    Announced,
    Arrived,
    Changed,
    Departed,
    Disconnect,
    Effect,
    Feed,
    Forbid,
    Muted,
    Note,
    Over,
    Record,
    StartRecording,
    StopRecording,
    Withdrawn,
)
from signaling.errors import LessonError
from signaling.events import (
    NOTHING,
    SOURCES,
    SPOKEN,
    STAFF,
    Admit,
    Audience,
    Describe,
    DescribeRoom,
    End,
    Event,
    GrantFloor,
    Grants,
    Join,
    Keep,
    Leave,
    Lost,
    LowerHand,
    Member,
    Mute,
    Permit,
    Publication,
    Published,
    RaiseHand,
    Remove,
    RevokeFloor,
    Role,
    Said,
    Silence,
    Tick,
    Track,
    Unpublished,
    Unwatched,
    Watch,
    Watching,
    Whose,
)
from signaling.lesson import Lesson, Phase, Rules

SEATS = 4
SESSIONS = st.sampled_from(["a", "b", "c", "d", "e"])
IDENTITIES = st.sampled_from(["wang", "li", "zhao"])
SOURCE = st.sampled_from(sorted(SOURCES - {"slides_audio"}))
CODEC = st.sampled_from(["VP8", "VP8", "H264"])
UPTRACKS, DOWNTRACKS = st.integers(1, 8), st.integers(10, 16)
ROLES = st.sampled_from(Role)
BY = st.sampled_from([None, None, "a", "b", "c"])
GRANTS = st.builds(
    Grants,
    publish=st.sampled_from([SOURCES, SPOKEN, NOTHING]),
    subscribe=st.booleans(),
    metadata=st.booleans(),
)
TRACKS = st.builds(Track, UPTRACKS, st.just("video"), SOURCE, CODEC, st.just(90000))
NUMBERS = st.integers(1, 6)
AUDIENCES = st.builds(
    Audience,
    st.booleans(),
    st.dictionaries(IDENTITIES, st.none() | st.frozensets(NUMBERS, max_size=2), max_size=2),
)

ALLOWED_BY_ROLE = {Role.TEACHER: SOURCES, Role.ASSISTANT: SOURCES}


class Machine(RuleBasedStateMachine):
    """A lesson, and somebody who only hears its effects."""

    def __init__(self) -> None:
        super().__init__()
        self.lesson = Lesson("math", "id", Rules(linger=30, max_schools=SEATS))
        self.now = 0.0
        self.recording = False
        self.members: dict[str, Member] = {}
        self.publications: dict[int, Publication] = {}
        self.fed: dict[int, int] = {}
        self.forbidden: set[int] = set()
        self.over = False

    def step(self, event: Event) -> None:
        before = copy.deepcopy(vars(self.lesson))
        try:
            effects = self.lesson.handle(event, self.now)
        except LessonError:
            assert vars(self.lesson) == before
            return
        assert not self.over
        for effect in effects:
            self.hear(effect)
        # The downtracks of who has left went with it: nobody is told to silence them.
        self.fed = {d: u for d, u in self.fed.items() if d in self.lesson.watches}

    def hear(self, effect: Effect) -> None:
        match effect:
            case StartRecording():
                assert not self.recording
                self.recording = True
            case StopRecording():
                assert self.recording
                self.recording = False
            case Note() | Record():
                assert self.recording
            case Arrived(member):
                assert member.session not in self.members
                self.members[member.session] = member
            case Changed(member):
                assert member.session in self.members
                self.members[member.session] = member
            case Departed(member):
                del self.members[member.session]
            case Announced(publication):
                assert publication.session in self.members
                assert publication.number not in self.publications
                self.publications[publication.number] = publication
                self.forbidden.discard(publication.track.uptrack)
            case Muted(publication):
                self.publications[publication.number] = publication
            case Withdrawn(publication):
                del self.publications[publication.number]
            case Feed(downtrack, None):
                self.fed.pop(downtrack, None)
            case Feed(downtrack, uptrack):
                assert uptrack not in self.forbidden
                assert uptrack is not None
                self.fed[downtrack] = uptrack
            case Forbid(uptrack):
                assert uptrack not in self.fed.values()
                self.forbidden.add(uptrack)
            case Disconnect(session):
                assert session not in self.lesson.members
            case Over():
                self.over = True
                self.members.clear()
                self.publications.clear()

    # --- what may happen

    @initialize(started=st.booleans())
    def begin(self, started: bool) -> None:
        """Most lessons have somebody in them already: chance alone rarely fills one."""
        if not started:
            return
        self.step(Join("a", "wang", Role.TEACHER))
        for session, role in (("b", Role.ASSISTANT), ("c", Role.SCHOOL), ("d", Role.SCHOOL)):
            self.step(Join(session, "li" if session == "b" else "zhao", role, waits=True))
        camera = Track(1, "video", "camera", "VP8", 90000)
        self.step(Published("a", (camera, replace(camera, uptrack=2, source="microphone"))))
        self.step(Watching("c", (Watch("c", 10, "camera", "VP8"),)))
        self.step(Watching("d", (Watch("d", 11, "camera", "VP8", Whose.FLOOR),)))
        self.step(Published("b", (replace(camera, uptrack=3),)))
        self.step(GrantFloor("a", "c"))

    @rule(
        join=st.builds(
            Join,
            SESSIONS,
            IDENTITIES,
            ROLES,
            grants=GRANTS,
            waits=st.booleans(),
            unique=st.booleans(),
        )
    )
    def join(self, join: Join) -> None:
        self.step(join)

    @precondition(lambda self: len(self.members) > 3)
    @rule(session=SESSIONS, kind=st.sampled_from([Leave, Lost, Lost]))
    def go(self, session: str, kind: type[Leave] | type[Lost]) -> None:
        self.step(kind(session))

    @precondition(lambda self: len(self.members) > 3)
    @rule(by=BY, session=SESSIONS)
    def expel(self, by: str | None, session: str) -> None:
        self.step(Remove(by, session))

    @rule(session=SESSIONS, tracks=st.lists(TRACKS, max_size=2), muted=st.frozensets(UPTRACKS))
    def publish(self, session: str, tracks: list[Track], muted: frozenset[int]) -> None:
        self.step(Published(session, tuple(tracks), muted))

    @rule(session=SESSIONS, uptrack=UPTRACKS)
    def unpublish(self, session: str, uptrack: int) -> None:
        self.step(Unpublished(session, uptrack))

    @rule(
        session=SESSIONS,
        downtrack=DOWNTRACKS,
        source=SOURCE,
        codec=CODEC,
        whose=st.sampled_from(Whose),
        number=st.none() | NUMBERS,
    )
    def watch(
        self,
        session: str,
        downtrack: int,
        source: str,
        codec: str,
        whose: Whose,
        number: int | None,
    ) -> None:
        watch = Watch(session, downtrack, source, codec, whose, number)
        self.step(Watching(session, (watch,)))

    @rule(session=SESSIONS, downtrack=DOWNTRACKS)
    def unwatch(self, session: str, downtrack: int) -> None:
        self.step(Unwatched(session, (downtrack,)))

    @rule(session=SESSIONS, uptrack=UPTRACKS, muted=st.booleans())
    def mute(self, session: str, uptrack: int, muted: bool) -> None:
        self.step(Mute(session, uptrack, muted))

    @rule(by=BY, number=NUMBERS, silenced=st.booleans())
    def silence(self, by: str | None, number: int, silenced: bool) -> None:
        self.step(Silence(by, number, silenced))

    @rule(session=SESSIONS, audience=AUDIENCES)
    def admit(self, session: str, audience: Audience) -> None:
        self.step(Admit(session, audience))

    @rule(session=SESSIONS)
    def say(self, session: str) -> None:
        self.step(Said(session, "hello"))

    @rule(session=SESSIONS)
    def raise_hand(self, session: str) -> None:
        self.step(RaiseHand(session))

    @rule(by=BY, session=SESSIONS)
    def lower_hand(self, by: str | None, session: str) -> None:
        self.step(LowerHand(by, session))

    @rule(by=BY, session=SESSIONS)
    def grant_floor(self, by: str | None, session: str) -> None:
        self.step(GrantFloor(by, session))

    @rule(by=BY)
    def revoke_floor(self, by: str | None) -> None:
        self.step(RevokeFloor(by))

    @rule(by=BY, session=SESSIONS, grants=GRANTS, role=st.none() | ROLES)
    def permit(self, by: str | None, session: str, grants: Grants, role: Role | None) -> None:
        self.step(Permit(by, session, grants, role))

    @rule(by=BY, session=SESSIONS, value=st.sampled_from(["", "x"]))
    def describe(self, by: str | None, session: str, value: str) -> None:
        self.step(Describe(by, session, name=value, attributes={"mood": value}))
        self.step(DescribeRoom(by, value))

    @rule(seconds=st.floats(0, 40))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.step(Tick())

    @rule()
    def keep(self) -> None:
        self.step(Keep(20))

    @precondition(lambda self: len(self.publications) > 5)
    @rule()
    def end(self) -> None:
        self.step(End("teacher"))

    # --- what is always so

    @invariant()
    def there_is_one_teacher_at_most(self) -> None:
        teachers = [m for m in self.lesson.members.values() if m.role is Role.TEACHER]
        assert teachers == ([self.lesson.teacher] if self.lesson.teacher else [])
        assert len(teachers) <= 1

    @invariant()
    def seats_are_counted(self) -> None:
        members = self.lesson.members.values()
        assert self.lesson.seated == sum(m.role is not Role.TEACHER for m in members) <= SEATS
        for role in Role:
            assert self.lesson.count(role) == sum(m.role is role for m in members)
        for identity in ("wang", "li", "zhao"):
            own = {m.session for m in members if m.identity == identity}
            assert set(self.lesson.sessions_of(identity)) == own

    @invariant()
    def the_floor_is_with_somebody_present_who_may_have_it(self) -> None:
        floor, members = self.lesson.floor, self.lesson.members
        speakers = [*floor.hands, *([floor.holder] if floor.holder else [])]
        assert len(set(speakers)) == len(speakers)
        for session in speakers:
            assert members[session].role in (Role.SCHOOL, Role.ASSISTANT)

    @invariant()
    def who_is_gone_holds_nothing(self) -> None:
        lesson, stage = self.lesson, self.lesson.room.stage
        assert {p.session for p in lesson.publications.values()} <= lesson.members.keys()
        assert {w.session for w in lesson.watches.values()} <= lesson.members.keys()
        for held in (stage._audiences, stage._published_by, stage._watched_by):
            assert held.keys() <= lesson.members.keys()
        assert stage._fed.keys() <= lesson.watches.keys()
        assert sorted(stage._uptracks.values()) == sorted(lesson.publications)
        watched = [d for downtracks in stage._watching.values() for d in downtracks]
        assert sorted(watched) == sorted(lesson.watches)

    @invariant()
    def nobody_publishes_what_is_forbidden(self) -> None:
        for publication in self.lesson.publications.values():
            member = self.lesson.members[publication.session]
            allowed = ALLOWED_BY_ROLE.get(member.role, NOTHING) & member.grants.publish
            if self.lesson.floor.holder == member.session:
                allowed |= SPOKEN
            assert publication.track.source in allowed
            assert publication.track.uptrack not in self.forbidden

    @invariant()
    def everybody_is_fed_what_it_wants_and_may_have(self) -> None:
        expected = {d: self.expected(watch) for d, watch in self.lesson.watches.items()}
        assert self.fed == {d: u for d, u in expected.items() if u is not None}

    def expected(self, watch: Watch) -> int | None:
        """Worked out anew, from all that is published."""
        members, viewer = self.lesson.members, self.lesson.members[watch.session]
        every = sorted(self.lesson.publications.values(), key=lambda p: p.number)
        same = [p for p in every if p.track.source == watch.source]
        if watch.publication is not None:
            wanted = [p for p in every if p.number == watch.publication]
        elif watch.whose is Whose.FLOOR:
            wanted = [p for p in same if p.session == self.lesson.floor.holder]
        else:
            staff = [p for p in same if members[p.session].role in STAFF]
            wanted = sorted(staff, key=lambda p: members[p.session].role is not Role.TEACHER)
        if not wanted or wanted[0].silenced or wanted[0].track.codec != watch.codec:
            return None
        audience = self.lesson.room.stage._audiences.get(wanted[0].session, Audience())
        admitted = audience.admits(viewer.identity, wanted[0].number)
        own = wanted[0].session == watch.session
        by_floor = watch.publication is None and watch.whose is Whose.FLOOR
        echo = by_floor and members[wanted[0].session].identity == viewer.identity
        allowed = viewer.grants.subscribe and admitted and not own and not echo
        return wanted[0].track.uptrack if allowed else None

    @invariant()
    def who_listens_knows_how_it_stands(self) -> None:
        assert self.members == self.lesson.members
        current = {p.number: p for p in self.lesson.publications.values()}
        assert self.publications == current
        assert self.recording is (self.lesson.phase in (Phase.LIVE, Phase.LINGERING))
        assert self.over is (self.lesson.phase is Phase.ENDED)


Machine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestLesson = pytest.mark.timeout(600)(Machine.TestCase)  # 10 s of work, on an idle machine
