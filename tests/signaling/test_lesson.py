import copy

import pytest

from signaling.effects import (
    Announced,
    Arrived,
    Departed,
    Disconnect,
    Effect,
    Feed,
    Note,
    Notify,
    Over,
    Record,
    StartRecording,
    StopRecording,
    WakeAt,
    Withdrawn,
)
from signaling.errors import IllegalEvent, LessonError, LessonFull, NotLive, TeacherPresent
from signaling.events import (
    End,
    Event,
    Join,
    Leave,
    Lost,
    Published,
    Role,
    Tick,
    Track,
    Unpublished,
    Watch,
    Watching,
)
from signaling.lesson import Lesson, Phase, Rules

MICROPHONE = Track(1, "audio", "microphone", "opus", 48000)
CAMERA = Track(2, "video", "camera", "H264", 90000, {"packetization-mode": "1"})


def lesson(**rules: float) -> Lesson:
    return Lesson("math", "20250301-080000-math-0a1b", Rules(**rules))  # type: ignore[arg-type]


def live(**rules: float) -> Lesson:
    result = lesson(**rules)
    result.handle(Join("t", "wang", Role.TEACHER), 0)
    result.handle(Published("t", (MICROPHONE, CAMERA)), 1)
    return result


def carried_out(effects: list[Effect]) -> list[Effect]:
    """Without what is only shown."""
    shown = (Announced, Arrived, Departed, Withdrawn)
    return [effect for effect in effects if not isinstance(effect, shown)]


def notes(effects: list[Effect]) -> list[str]:
    return [str(effect.event["type"]) for effect in effects if isinstance(effect, Note)]


def test_a_lesson_starts_when_its_teacher_is_connected() -> None:
    math = lesson()
    assert carried_out(math.handle(Join("t", "wang", Role.TEACHER), 0)) == []
    effects = math.handle(Published("t", (MICROPHONE, CAMERA)), 1)
    assert effects[0] == StartRecording()
    assert notes(effects) == [
        "lesson_started",
        "member_joined",
        "track_published",
        "track_published",
    ]
    assert [e for e in effects if isinstance(e, Record)] == [
        Record(1, MICROPHONE),
        Record(2, CAMERA),
    ]
    assert math.phase is Phase.LIVE


def test_the_journal_names_a_track_before_it_records_it() -> None:
    math = lesson()
    math.handle(Join("t", "wang", Role.TEACHER), 0)
    effects = math.handle(Published("t", (CAMERA,)), 1)
    at = effects.index(Record(1, CAMERA))
    before = effects[at - 1]
    assert isinstance(before, Note)
    assert before.event == {
        "type": "track_published",
        "track": 1,
        "kind": "video",
        "source": "camera",
        "codec": "H264",
        "clock_rate": 90000,
        "parameters": {"packetization-mode": "1"},
        "member": 1,
        "identity": "wang",
        "role": "teacher",
    }


def test_nobody_watches_before_there_is_something_to_see() -> None:
    math = lesson()
    with pytest.raises(NotLive):
        math.handle(Join("s", "school", Role.SCHOOL), 0)
    math.handle(Join("t", "wang", Role.TEACHER), 0)
    with pytest.raises(NotLive):
        math.handle(Join("s", "school", Role.SCHOOL), 0)


def test_a_school_is_fed_what_it_can_decode() -> None:
    math = live()
    math.handle(Join("s", "school", Role.SCHOOL), 2)
    watches = (
        Watch("s", 10, "camera", "H264"),
        Watch("s", 11, "slides", "H264"),
        Watch("s", 12, "microphone", "opus"),
    )
    effects = math.handle(Watching("s", watches), 2)
    assert effects == [Feed(10, 2), Feed(12, 1)]
    slides = Track(3, "video", "slides", "H264", 90000)
    assert Feed(11, 3) in math.handle(Published("t", (slides,)), 3)
    vp8 = (Watch("s", 13, "camera", "VP8"),)
    assert math.handle(Watching("s", vp8), 3) == []


def test_a_second_teacher_is_refused_under_any_name() -> None:
    math = live()
    for identity in ("wang", "li"):
        with pytest.raises(TeacherPresent):
            math.handle(Join("t2", identity, Role.TEACHER), 2)


def test_a_lost_teacher_may_come_back_and_the_schools_see_it() -> None:
    math = live(linger=30)
    math.handle(Join("s", "school", Role.SCHOOL), 2)
    math.handle(Watching("s", (Watch("s", 10, "camera", "H264"),)), 2)
    effects = math.handle(Lost("t"), 10)
    assert Feed(10, None) in effects
    assert WakeAt(40) in effects
    assert notes(effects) == ["track_unpublished", "track_unpublished", "member_left"]
    with pytest.raises(TeacherPresent):
        math.handle(Join("x", "li", Role.TEACHER), 11)
    math.handle(Join("t2", "wang", Role.TEACHER), 12)
    camera = Track(7, "video", "camera", "H264", 90000)
    effects = math.handle(Published("t2", (camera,)), 13)
    assert Feed(10, 7) in effects
    assert Record(3, camera) in effects  # a new number
    assert math.phase is Phase.LIVE
    assert math.handle(Tick(), 40) == []


def test_a_lesson_ends_when_its_teacher_stays_away() -> None:
    math = live(linger=30)
    math.handle(Join("s", "school", Role.SCHOOL), 2)
    math.handle(Lost("t"), 10)
    assert math.handle(Tick(), 39.9) == []
    effects = math.handle(Tick(), 40)
    assert Note({"type": "lesson_ended", "reason": "linger"}) in effects
    assert effects[-4:] == [
        StopRecording(),
        Notify("s", {"type": "ended"}),
        Disconnect("s"),
        Over(),
    ]


def test_a_returning_teacher_has_the_linger_time_to_connect() -> None:
    math = live(linger=30)
    math.handle(Lost("t"), 10)
    assert WakeAt(69) in math.handle(Join("t2", "wang", Role.TEACHER), 39)
    assert math.handle(Tick(), 40) == []
    math.handle(Lost("t2"), 45)
    assert math.phase is Phase.LINGERING
    assert Over() in math.handle(Tick(), 69)


def test_the_teachers_goodbye_ends_the_lesson_at_once() -> None:
    math = live()
    math.handle(Join("s", "school", Role.SCHOOL), 2)
    effects = math.handle(Leave("t"), 3)
    assert Note({"type": "lesson_ended", "reason": "teacher"}) in effects
    assert Disconnect("s") in effects
    assert Disconnect("t") not in effects  # who left is not thrown out
    assert math.phase is Phase.ENDED


def test_a_teacher_who_never_connects_leaves_no_trace() -> None:
    math = lesson()
    math.handle(Join("t", "wang", Role.TEACHER), 0)
    assert carried_out(math.handle(Lost("t"), 15)) == [Over()]


def test_shutdown_ends_with_its_reason() -> None:
    assert Note({"type": "lesson_ended", "reason": "shutdown"}) in live().handle(End("shutdown"), 5)


def test_a_leaving_school_takes_its_watches_along() -> None:
    math = live()
    math.handle(Join("s", "school", Role.SCHOOL), 2)
    math.handle(Watching("s", (Watch("s", 10, "camera", "H264"),)), 2)
    assert notes(math.handle(Leave("s"), 3)) == ["member_left"]
    assert math.watches == {}
    assert math.phase is Phase.LIVE


def test_seats_are_limited() -> None:
    math = live(max_schools=1)
    math.handle(Join("s1", "a", Role.SCHOOL), 2)
    with pytest.raises(LessonFull):
        math.handle(Join("s2", "b", Role.SCHOOL), 2)
    math.handle(Leave("s1"), 3)
    math.handle(Join("s2", "b", Role.SCHOOL), 3)


def test_a_track_can_be_taken_back_by_its_owner_only() -> None:
    math = live()
    math.handle(Join("s", "school", Role.SCHOOL), 2)
    math.handle(Watching("s", (Watch("s", 10, "camera", "H264"),)), 2)
    with pytest.raises(IllegalEvent):
        math.handle(Unpublished("s", 2), 3)
    assert carried_out(math.handle(Unpublished("t", 2), 3)) == [
        Note({"type": "track_unpublished", "track": 2}),
        Feed(10, None),
    ]


@pytest.mark.parametrize(
    "event",
    [
        Published("s", (Track(9, "video", "camera", "H264", 90000),)),  # a school may not
        Published("nobody", (Track(9, "video", "camera", "H264", 90000),)),
        Published("t", (Track(9, "video", "drone", "H264", 90000),)),
        Published("t", (CAMERA,)),  # again
        Published("t", (Track(9, "video", "camera", "VP8", 90000),)),  # a second camera
        Published("t", (Track(2, "video", "slides", "VP8", 90000),)),  # the same track
        Published("t", ()),
        Join("s", "school", Role.SCHOOL),  # again
        Leave("nobody"),
        Lost("nobody"),
        Watching("nobody", ()),
        Watching("s", (Watch("t", 10, "camera", "H264"),)),
        Unpublished("t", 99),
    ],
)
def test_an_illegal_event_raises_and_changes_nothing(event: Event) -> None:
    math = live()
    math.handle(Join("s", "school", Role.SCHOOL), 2)
    before = copy.deepcopy(vars(math))
    with pytest.raises(LessonError):
        math.handle(event, 3)
    assert vars(math) == before


def test_nothing_happens_after_the_end() -> None:
    math = live()
    math.handle(End("teacher"), 2)
    with pytest.raises(NotLive):
        math.handle(Join("s", "school", Role.SCHOOL), 3)
    for event in (Leave("t"), Tick(), End("shutdown"), Published("t", (CAMERA,))):
        with pytest.raises(IllegalEvent):
            math.handle(event, 3)
