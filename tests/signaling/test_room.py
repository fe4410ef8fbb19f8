"""Roles, permissions, muting and the floor by example; `test_lesson_properties.py` has the rest."""

import pytest

from signaling.effects import (
    Announced,
    Arrived,
    AudienceChanged,
    Changed,
    Departed,
    Disconnect,
    Effect,
    Feed,
    Forbid,
    Muted,
    Note,
    Over,
    Reason,
    Record,
    RoomChanged,
    StartRecording,
    WakeAt,
    Withdrawn,
)
from signaling.errors import IllegalEvent, LessonFull, LimitExceeded, NotPermitted, TeacherPresent
from signaling.events import (
    NOTHING,
    SOURCES,
    SPOKEN,
    Admit,
    Audience,
    Describe,
    DescribeRoom,
    Event,
    GrantFloor,
    Grants,
    Join,
    Keep,
    Leave,
    Lost,
    LowerHand,
    Mute,
    Permit,
    Published,
    RaiseHand,
    Remove,
    RevokeFloor,
    Role,
    Said,
    Silence,
    Tick,
    Track,
    Unwatched,
    Watch,
    Watching,
    Whose,
)
from signaling.lesson import Lesson, Phase, Rules
from signaling.room import MAX_METADATA
from signaling.stage import MAX_TRACKS


def track(uptrack: int, source: str = "camera", codec: str = "VP8", **more: bool) -> Track:
    kind, rate = ("audio", 48000) if "microphone" in source else ("video", 90000)
    return Track(uptrack, kind, source, codec, rate, **more)  # type: ignore[arg-type]


MICROPHONE = track(1, "microphone", "opus")
CAMERA = track(2)


@pytest.fixture
def math() -> Lesson:
    """A teacher who teaches, an assistant, two schools."""
    lesson = Lesson("math", "id", Rules(linger=30, max_schools=5))
    do(lesson, Join("t", "wang", Role.TEACHER))
    do(lesson, Published("t", (MICROPHONE, CAMERA)))
    do(lesson, Join("a", "li", Role.ASSISTANT))
    do(lesson, Join("s", "hilltop", Role.SCHOOL))
    do(lesson, Join("s2", "seaside", Role.SCHOOL))
    return lesson


def do(lesson: Lesson, *events: Event, now: float = 0) -> list[Effect]:
    return [effect for event in events for effect in lesson.handle(event, now)]


def kinds(effects: list[Effect]) -> list[type[Effect]]:
    return [type(effect) for effect in effects]


def notes(effects: list[Effect]) -> list[str]:
    return [str(effect.event["type"]) for effect in effects if isinstance(effect, Note)]


# --- the floor


def test_hands_are_in_the_order_in_which_they_were_raised(math: Lesson) -> None:
    do(math, RaiseHand("s2"), RaiseHand("s"))
    assert do(math, RaiseHand("s2")) == []  # who asks again keeps its place
    assert math.floor.hands == ("s2", "s")
    assert RoomChanged() in do(math, LowerHand("s2", "s2"))
    assert RoomChanged() in do(math, LowerHand("t", "s"))
    assert math.floor.hands == ()


def test_the_floor_lets_a_school_speak_and_be_seen(math: Lesson) -> None:
    with pytest.raises(NotPermitted):
        do(math, Published("s", (track(10),)))
    do(math, RaiseHand("s"))
    effects = do(math, GrantFloor("t", "s"))
    assert Changed(math.members["s"]) in effects
    assert notes(effects) == ["floor_granted"]
    assert (math.floor.holder, math.floor.hands) == ("s", ())
    assert math.may_publish("s") == SPOKEN
    do(math, Published("s", (track(10), track(11, "microphone", "opus"))))
    with pytest.raises(NotPermitted):
        do(math, Published("s", (track(12, "slides"),)))
    with pytest.raises(IllegalEvent):
        do(math, RaiseHand("s"))


def test_a_raised_hand_may_get_ready_but_not_publish(math: Lesson) -> None:
    assert math.may_prepare("s") == NOTHING
    assert Changed(math.members["s"]) in do(math, RaiseHand("s"))
    assert (math.may_prepare("s"), math.may_publish("s")) == (SPOKEN, NOTHING)
    with pytest.raises(NotPermitted):
        do(math, Published("s", (track(10),)))
    assert Changed(math.members["s"]) in do(math, LowerHand("s", "s"))
    assert math.may_prepare("s") == NOTHING


def test_the_floor_goes_beyond_a_schools_token(math: Lesson) -> None:
    do(math, Join("x", "valley", Role.SCHOOL, grants=Grants(publish=NOTHING)))
    do(math, GrantFloor("t", "x"))
    assert math.may_publish("x") == SPOKEN


@pytest.mark.parametrize("revoke", [RevokeFloor("t"), RevokeFloor("s"), RevokeFloor(None)])
def test_who_loses_the_floor_is_not_forwarded_any_more(math: Lesson, revoke: Event) -> None:
    do(math, GrantFloor("a", "s"), Published("s", (track(10),)))
    do(math, Watching("s2", (Watch("s2", 20, "camera", "VP8", publication=3),)))
    effects = do(math, revoke)
    assert Feed(20, None) in effects
    assert effects.index(Feed(20, None)) < effects.index(Forbid(10))
    (withdrawn,) = (effect for effect in effects if isinstance(effect, Withdrawn))
    assert (withdrawn.publication.number, withdrawn.reason) == (3, Reason.FORBIDDEN)
    assert notes(effects) == ["track_unpublished", "floor_freed"]
    with pytest.raises(NotPermitted):
        do(math, Published("s", (track(11),)))


def test_the_floor_moves_from_one_school_to_the_next(math: Lesson) -> None:
    do(math, GrantFloor("t", "s"), Published("s", (track(10),)))
    watch = Watch("s2", 20, "camera", "VP8", Whose.FLOOR)
    assert do(math, Watching("s2", (watch,))) == [Feed(20, 10)]
    effects = do(math, GrantFloor("t", "a"))
    assert Forbid(10) in effects
    assert Feed(20, None) in effects
    assert math.floor.holder == "a"
    assert Feed(20, 11) in do(math, Published("a", (track(11),)))


def test_who_has_the_floor_does_not_hear_itself_by_another_seat(math: Lesson) -> None:
    do(math, Join("w", "hilltop", Role.SCHOOL))
    do(math, Watching("w", (Watch("w", 20, "microphone", "opus", Whose.FLOOR),)))
    do(math, Watching("s2", (Watch("s2", 21, "microphone", "opus", Whose.FLOOR),)))
    do(math, GrantFloor("t", "s"))
    effects = do(math, Published("s", (track(10, "microphone", "opus"),)))
    assert [effect for effect in effects if isinstance(effect, Feed)] == [Feed(21, 10)]


def test_an_assistant_keeps_its_tracks_when_it_loses_the_floor(math: Lesson) -> None:
    do(math, Published("a", (track(10),)), GrantFloor("t", "a"))
    watch = Watch("s2", 20, "camera", "VP8", Whose.FLOOR)
    assert do(math, Watching("s2", (watch,))) == [Feed(20, 10)]
    effects = do(math, RevokeFloor("t"))
    assert Feed(20, None) in effects
    assert Forbid(10) not in effects


def test_the_floor_is_free_when_its_holder_leaves(math: Lesson) -> None:
    do(math, GrantFloor("t", "s"), Published("s", (track(10),)), RaiseHand("s2"))
    effects = do(math, Lost("s"))
    assert math.floor.holder is None
    assert RoomChanged() in effects
    assert RoomChanged() in do(math, Leave("s2"))
    assert math.floor.hands == ()


@pytest.mark.parametrize(
    "event",
    [
        GrantFloor("s", "s"),
        GrantFloor("s2", "s"),
        RevokeFloor("s2"),
        LowerHand("s2", "s"),
        GrantFloor("t", "o"),
        RaiseHand("o"),
        RaiseHand("t"),
        GrantFloor("a", "t"),
        Silence("s", 1),
        Silence("a", 1),
        Remove("s", "s2"),
        Remove("a", "t"),
        Permit("s", "s", Grants()),
        Permit("a", "a", Grants()),
        Permit("a", "t", Grants(publish=NOTHING)),
        Permit("t", "s", Grants(), Role.TEACHER),
        Permit(None, "t", Grants(), Role.SCHOOL),
        Describe("s", "s", name="other"),
        Describe("s2", "s", name="other"),
        DescribeRoom("s", "mine"),
        Published("o", (track(10),)),
    ],
)
def test_what_a_member_may_not_do(math: Lesson, event: Event) -> None:
    do(math, Join("o", "inspector", Role.OBSERVER))
    with pytest.raises(NotPermitted):
        do(math, event)


def test_nobody_is_given_the_floor_who_is_not_there(math: Lesson) -> None:
    with pytest.raises(IllegalEvent):
        do(math, GrantFloor("t", "nobody"))
    with pytest.raises(IllegalEvent):
        do(math, RevokeFloor("t"))


# --- permissions


def test_what_is_no_longer_allowed_is_withdrawn_at_once(math: Lesson) -> None:
    do(math, Published("a", (track(10), track(11, "slides"))))
    effects = do(math, Permit(None, "a", Grants(publish=SPOKEN)))
    assert Forbid(11) in effects
    assert Forbid(10) not in effects
    assert math.may_publish("a") == SPOKEN


def test_who_may_not_subscribe_any_more_gets_nothing(math: Lesson) -> None:
    do(math, Watching("s", (Watch("s", 20, "camera", "VP8"),)))
    assert Feed(20, None) in do(math, Permit("t", "s", Grants(subscribe=False)))
    assert not math.may_watch("s", 2)
    assert Feed(20, 2) in do(math, Permit("t", "s", Grants()))


def test_a_school_becomes_an_assistant_and_an_observer_loses_the_floor(math: Lesson) -> None:
    do(math, Permit("t", "s", Grants(), Role.ASSISTANT))
    do(math, Published("s", (track(10, "slides"),)))
    do(math, GrantFloor("t", "s2"), Published("s2", (track(11),)))
    effects = do(math, Permit("t", "s2", Grants(), Role.OBSERVER))
    assert Forbid(11) in effects
    assert RoomChanged() in effects
    assert math.floor.holder is None
    assert (math.count(Role.ASSISTANT), math.count(Role.OBSERVER)) == (2, 1)


def test_a_publisher_chooses_its_audience(math: Lesson) -> None:
    do(math, Watching("s", (Watch("s", 20, "camera", "VP8"),)))
    do(math, Watching("s2", (Watch("s2", 21, "camera", "VP8"),)))
    only = Audience(everybody=False, identities={"seaside": frozenset({2})})
    effects = do(math, Admit("t", only))
    assert effects == [Feed(20, None), AudienceChanged("t")]
    assert math.may_watch("s2", 2)
    assert not math.may_watch("s2", 1)
    assert Feed(20, 2) in do(math, Admit("t", Audience()))


# --- muting


def test_an_authority_silences_until_the_publisher_unmutes(math: Lesson) -> None:
    do(math, GrantFloor("t", "s"), Published("s", (track(10, "microphone", "opus"),)))
    do(math, Watching("s2", (Watch("s2", 20, "microphone", "opus", publication=3),)))
    effects = do(math, Silence("t", 3))
    assert Feed(20, None) in effects
    assert notes(effects) == ["track_muted"]
    assert kinds(effects)[-1] is Muted
    # Its client obeys, which changes nothing for the others; then its user unmutes.
    assert Feed(20, 10) not in do(math, Mute("s", 10, True))
    assert Feed(20, 10) in do(math, Mute("s", 10, False))
    publication = math.publication(3)
    assert publication is not None
    assert not publication.muted
    assert not publication.silenced


def test_who_silenced_may_take_it_back_but_unmutes_nobody(math: Lesson) -> None:
    do(math, Mute("t", 1, True))
    do(math, Silence(None, 1))
    do(math, Silence(None, 1, False))
    publication = math.publication(1)
    assert publication is not None
    assert (publication.muted, publication.silenced) == (True, False)
    assert do(math, Silence(None, 1, False)) == []


def test_a_track_may_be_muted_from_the_start(math: Lesson) -> None:
    effects = do(math, Published("a", (track(10),), muted=frozenset({10})))
    (announced,) = (effect for effect in effects if isinstance(effect, Announced))
    assert announced.publication.muted


# --- what is watched


def test_one_publication_is_watched_and_unwatched(math: Lesson) -> None:
    watch = Watch("s", 20, "camera", "VP8", publication=2)
    assert do(math, Watching("s", (watch,))) == [Feed(20, 2)]
    assert do(math, Unwatched("s", (20,))) == [Feed(20, None)]
    with pytest.raises(IllegalEvent):
        do(math, Unwatched("s", (20,)))
    with pytest.raises(IllegalEvent):
        do(math, Watching("s", (Watch("s", 21, "camera", "VP8", publication=99),)))


def test_another_codec_is_not_fed(math: Lesson) -> None:
    assert do(math, Watching("s", (Watch("s", 20, "camera", "H264", publication=2),))) == []


def test_an_assistants_slides_are_shown_while_the_teacher_shows_none(math: Lesson) -> None:
    do(math, Watching("s", (Watch("s", 20, "slides", "VP8"),)))
    assert Feed(20, 10) in do(math, Published("a", (track(10, "slides"),)))
    assert Feed(20, 3) in do(math, Published("t", (track(3, "slides"),)))


def test_what_is_written_is_noted_once_there_is_a_journal(math: Lesson) -> None:
    (note,) = do(math, Said("s", "hello", "m1"))
    assert isinstance(note, Note)
    assert (note.event["type"], note.event["identity"]) == ("chat", "hilltop")
    assert (note.event["text"], note.event["message"]) == ("hello", "m1")
    do(math, Permit("t", "s", Grants(data=False)))
    with pytest.raises(NotPermitted):
        do(math, Said("s", "hello"))
    waiting = Lesson("math", "id", Rules())
    do(waiting, Join("s", "hilltop", Role.SCHOOL, waits=True))
    assert do(waiting, Said("s", "hello")) == []


def test_end_to_end_encryption_is_not_recorded(math: Lesson) -> None:
    effects = do(math, Published("a", (track(10, encrypted=True),)))
    assert "track_published" in notes(effects)
    assert Record not in kinds(effects)


def test_a_member_publishes_no_more_than_it_may(math: Lesson) -> None:
    do(math, Published("a", tuple(track(100 + n, "unknown") for n in range(MAX_TRACKS))))
    with pytest.raises(LimitExceeded):
        do(math, Published("a", (track(10),)))


# --- coming and going


def test_a_unique_member_replaces_its_older_self(math: Lesson) -> None:
    do(math, Join("x", "zhao", Role.SCHOOL, unique=True), GrantFloor("t", "x"))
    do(math, Published("x", (track(10),)))
    effects = do(math, Join("y", "zhao", Role.SCHOOL, unique=True))
    assert Disconnect("x", Reason.DUPLICATE) in effects
    assert [type(e) for e in effects if isinstance(e, Departed | Arrived)] == [Departed, Arrived]
    assert math.sessions_of("zhao") == ("y",)
    assert math.floor.holder is None
    assert math.published_by("x") == []


def test_a_unique_teacher_replaces_itself_and_the_lesson_goes_on(math: Lesson) -> None:
    with pytest.raises(TeacherPresent):
        do(math, Join("t2", "zhang", Role.TEACHER, unique=True))
    do(math, Join("t2", "wang", Role.TEACHER, unique=True))
    assert math.teacher == math.members["t2"]
    assert math.phase is Phase.LIVE
    assert math.publications == {}


def test_a_full_lesson_still_lets_its_members_come_back(math: Lesson) -> None:
    do(math, Join("x", "x", Role.SCHOOL), Join("y", "y", Role.SCHOOL, unique=True))
    with pytest.raises(LessonFull):
        do(math, Join("z", "z", Role.SCHOOL, unique=True))
    do(math, Join("y2", "y", Role.SCHOOL, unique=True))


def test_somebody_may_be_sent_away(math: Lesson) -> None:
    effects = do(math, Remove("t", "s"))
    assert Disconnect("s", Reason.REMOVED) in effects
    assert "s" not in math.members
    do(math, Remove(None, "t"))
    assert math.phase is Phase.LINGERING  # a teacher may come back


def test_a_lesson_without_a_teacher_lives_while_somebody_is_there() -> None:
    club = Lesson("club", "id", Rules(linger=30))
    do(club, Join("a", "li", Role.ASSISTANT, waits=True))
    do(club, Join("s", "hilltop", Role.SCHOOL, waits=True))
    assert club.phase is Phase.WAITING
    effects = do(club, Published("a", (CAMERA,)))
    assert StartRecording() in effects
    assert notes(effects)[:3] == ["lesson_started", "member_joined", "member_joined"]
    do(club, Leave("a"))
    assert club.phase is Phase.LIVE
    assert WakeAt(130) in do(club, Leave("s"), now=100)
    do(club, Join("s", "hilltop", Role.SCHOOL), now=110)
    assert club.phase is Phase.LIVE
    assert do(club, Tick(), now=130) == []
    do(club, Lost("s"), now=140)
    assert Over() in do(club, Tick(), now=170)


def test_a_teacher_who_only_sits_there_is_there(math: Lesson) -> None:
    do(math, Lost("t"), now=10)
    do(math, Join("t2", "wang", Role.TEACHER), now=20)
    assert do(math, Tick(), now=100) == []
    assert WakeAt(140) in do(math, Lost("t2"), now=110)


def test_who_waits_keeps_waiting_when_a_teacher_fails_to_connect() -> None:
    club = Lesson("club", "id", Rules())
    do(club, Join("s", "hilltop", Role.SCHOOL, waits=True), Join("t", "wang", Role.TEACHER))
    assert Over() not in do(club, Lost("t"))
    do(club, Join("t2", "li", Role.TEACHER))  # who never taught owns nothing
    do(club, Lost("t2"))
    assert Over() in do(club, Lost("s"))


def test_a_prepared_lesson_waits_for_its_first_member() -> None:
    club = Lesson("club", "id", Rules())
    assert do(club, Keep(300), now=10) == [WakeAt(310)]
    assert club.kept
    do(club, DescribeRoom(None, "geometry"), Join("s", "hilltop", Role.SCHOOL, waits=True))
    assert Over() not in do(club, Lost("s"), now=20)
    assert club.metadata == "geometry"
    assert do(club, Tick(), now=300) == []
    assert do(club, Tick(), now=310) == [Over()]


# --- what is said of the lesson, and of members


def test_what_the_metadata_says_of_the_lesson_is_noted_once_there_is_a_journal() -> None:
    club = Lesson("club", "id", Rules())
    said = '{"title": "Circles", "school": "Hilltop", "tags": ["geometry"], "hold": true}'
    do(club, DescribeRoom(None, said), Join("t", "wang", Role.TEACHER))
    started = do(club, Published("t", (CAMERA,)))
    described = {"type": "lesson_described", "title": "Circles", "school": "Hilltop"}
    assert Note({**described, "tags": ("geometry",)}) in started
    changed = do(club, DescribeRoom(None, '{"title": "Ovals"}'))
    assert changed == [Note({"type": "lesson_described", "title": "Ovals"}), RoomChanged()]
    for other in ("free text", "[]", "{", '{"color": "red"}', '{"title": 7}'):
        assert do(club, DescribeRoom(None, other)) == [RoomChanged()]


def test_a_member_may_describe_itself_with_the_grant() -> None:
    club = Lesson("club", "id", Rules())
    grants = Grants(metadata=True)
    attributes = {"site": "north"}
    do(club, Join("s", "x", Role.SCHOOL, grants=grants, attributes=attributes, waits=True))
    (changed,) = do(club, Describe("s", "s", name="Hill", attributes={"site": "", "mood": "good"}))
    assert isinstance(changed, Changed)
    assert (changed.member.name, changed.member.attributes) == ("Hill", {"mood": "good"})
    assert do(club, Describe("s", "s", name="Hill")) == []
    with pytest.raises(LimitExceeded):
        do(club, Describe("s", "s", attributes={"a": "x" * MAX_METADATA}))
    with pytest.raises(LimitExceeded):
        do(club, DescribeRoom(None, "x" * (MAX_METADATA + 1)))


def test_a_role_allows_no_more_than_the_token(math: Lesson) -> None:
    do(math, Join("b", "b", Role.ASSISTANT, grants=Grants(publish=frozenset({"slides"}))))
    assert math.may_publish("b") == {"slides"}
    assert math.may_publish("t") == SOURCES
    assert math.may_publish("s") == NOTHING


def test_joining_costs_the_same_in_a_full_lesson() -> None:
    hall = Lesson("hall", "id", Rules(max_schools=2000))
    do(hall, Join("t", "wang", Role.TEACHER), Published("t", (MICROPHONE, CAMERA)))
    sizes = []
    for number in range(500):
        session = f"s{number}"
        effects = do(
            hall,
            Join(session, session, Role.SCHOOL),
            Watching(session, (Watch(session, 1000 + number, "camera", "VP8"),)),
        )
        sizes.append(len(effects))
    assert sizes[0] == sizes[-1] == 3  # a note, Arrived, Feed
