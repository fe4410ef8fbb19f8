import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.admission import Admission, Limits, Stage, Ticket
from signaling.errors import Crowded
from signaling.events import Role

SCHOOL, TEACHER = Role.SCHOOL, Role.TEACHER


def queue(**limits: float) -> Admission:
    return Admission(Limits(**{"at_once": 1, **limits}))  # type: ignore[arg-type]


def held(admission: Admission, lesson: str = "held") -> Ticket:
    """A join that is under way."""
    ticket = admission.ask(lesson, SCHOOL)
    assert admission.poll(0) == [ticket]
    return ticket


def called(admission: Admission, now: float = 0) -> Ticket | None:
    """Finish whatever is under way; who comes next."""
    found = admission.poll(now)
    for ticket in found:
        admission.release(ticket)
    return found[0] if found else None


def test_so_many_are_under_way_at_a_time() -> None:
    admission = queue(at_once=2)
    tickets = [admission.ask("math", SCHOOL) for _ in range(3)]
    assert admission.poll(0) == tickets[:2]
    assert admission.poll(0) == []
    admission.release(tickets[0])
    assert admission.poll(0) == tickets[2:]


def test_first_come_first_served_within_a_lesson() -> None:
    admission = queue()
    tickets = [admission.ask("math", SCHOOL) for _ in range(5)]
    assert [called(admission) for _ in tickets] == tickets


def test_a_single_join_does_not_wait_for_another_lessons_storm() -> None:
    admission = queue()
    storm = [admission.ask("math", SCHOOL) for _ in range(100)]
    single = admission.ask("art", SCHOOL)
    assert [called(admission) for _ in range(3)] == [storm[0], single, storm[1]]


def test_lessons_take_turns() -> None:
    admission = queue()
    for lesson in "aaabbc":
        admission.ask(lesson, SCHOOL)
    order = [called(admission) for _ in range(6)]
    assert [ticket.lesson for ticket in order if ticket] == ["a", "b", "c", "a", "b", "a"]


def test_teachers_come_before_schools() -> None:
    admission = queue()
    school, teacher = admission.ask("math", SCHOOL), admission.ask("art", TEACHER)
    assert [called(admission), called(admission)] == [teacher, school]


def test_a_full_lesson_refuses_and_leaves_room_for_others() -> None:
    admission = queue(waiting_per_lesson=2)
    for _ in range(2):
        admission.ask("math", SCHOOL)
    with pytest.raises(Crowded, match=r"this lesson .* try again in a moment\.$"):
        admission.ask("math", SCHOOL)
    admission.ask("art", SCHOOL)
    assert (admission.counts.waiting, admission.counts.refused) == (3, 1)


def test_a_full_node_refuses_schools_but_no_teacher() -> None:
    admission = queue(waiting=2)
    admission.ask("math", SCHOOL)
    leaving = admission.ask("art", SCHOOL)
    with pytest.raises(Crowded, match=r"lessons just now; try again in a moment\.$"):
        admission.ask("music", SCHOOL)
    admission.ask("music", TEACHER)
    admission.release(leaving)
    admission.ask("music", SCHOOL)


def test_whoever_hangs_up_leaves_the_queue() -> None:
    admission = queue()
    first = held(admission)
    gone, next_one = admission.ask("math", SCHOOL), admission.ask("math", SCHOOL)
    admission.release(gone)
    admission.release(gone)
    assert (admission.counts.waiting, admission.counts.abandoned) == (1, 1)
    admission.release(first)
    assert admission.poll(0) == [next_one]


def test_a_handshake_without_an_end_holds_its_place_for_a_while_only() -> None:
    admission = queue(patience=2)
    stuck, waiting = held(admission), admission.ask("math", SCHOOL)
    assert admission.poll_at() == 2
    assert admission.poll(1.9) == []
    assert admission.poll(2) == [waiting]
    admission.release(stuck)  # it ends at last: nobody gains or loses a place by that
    assert admission.counts.under_way == 1
    assert admission.counts.overdue == 1


def test_nothing_to_wake_for_while_nobody_waits() -> None:
    admission = queue()
    assert admission.poll_at() is None
    held(admission)
    assert admission.poll_at() is None


@settings(deadline=None)
@given(st.data())
def test_whatever_happens(data: st.DataObject) -> None:
    """Bounds hold, nobody is called twice or out of order, and in the end all had their turn."""
    limits = Limits(at_once=3, waiting=8, waiting_per_lesson=5, patience=2)
    admission, now = Admission(limits), 0.0
    waiting: list[Ticket] = []
    under_way: list[Ticket] = []

    def poll() -> None:
        for ticket in admission.poll(now):
            teaches = ticket.role is TEACHER
            same = [
                t for t in waiting if t.lesson == ticket.lesson and (t.role is TEACHER) == teaches
            ]
            assert same[0] is ticket
            assert teaches or all(t.role is not TEACHER for t in waiting)
            waiting.remove(ticket)
            under_way.append(ticket)

    for _ in range(data.draw(st.integers(0, 40))):
        now += data.draw(st.sampled_from([0, 0.5, 3]))
        match data.draw(st.integers(0, 3)):
            case 0 | 1:
                lesson = data.draw(st.sampled_from("abc"))
                try:
                    waiting.append(admission.ask(lesson, data.draw(st.sampled_from(Role))))
                except Crowded:
                    assert len(waiting) >= limits.waiting_per_lesson
            case 2 if waiting:
                admission.release(waiting.pop(data.draw(st.integers(0, len(waiting) - 1))))
            case 3 if under_way:
                admission.release(under_way.pop(data.draw(st.integers(0, len(under_way) - 1))))
        poll()
        counts = admission.counts
        assert counts.under_way <= limits.at_once
        assert counts.waiting == len(waiting)
        assert counts.waiting == 0 or counts.under_way == limits.at_once
    while waiting:
        deadline = admission.poll_at()
        assert deadline is not None
        now = max(now, deadline)
        poll()
    assert all(ticket.stage is Stage.UNDER_WAY for ticket in under_way)
