"""Why a source sent nothing."""

import pytest

from recorder.archive.layout import Gap
from recorder.pipeline.gaps import GAPS_KEPT, Attendance, Gaps, Reason

SECOND = 1_000_000


def attended(*events: tuple[float, str]) -> Attendance:
    """Track 1's events at these seconds."""
    attendance = Attendance()
    for at, event in events:
        time_us = round(at * SECOND)
        match event:
            case "publish":
                attendance.publish(time_us, 1)
            case "unpublish":
                attendance.unpublish(time_us, 1)
            case _:
                attendance.mute(time_us, 1, event == "mute")
    return attendance


def noted(gaps: Gaps, *stretches: tuple[float, float], loss: bool = False, track: int = 1) -> None:
    for start, end in stretches:
        gaps.note(round(start * SECOND), round(end * SECOND), track, loss=loss)


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([(0, "publish")], Reason.SILENCE),
        ([(0, "publish"), (2.1, "mute"), (7.9, "unmute")], Reason.MUTED),
        ([(0, "publish"), (3, "unpublish"), (7.9, "publish")], Reason.AWAY),
        ([(0, "publish"), (1, "mute"), (1.5, "unmute")], Reason.SILENCE),
        ([(0, "publish"), (1, "mute"), (2.5, "unpublish"), (7, "publish")], Reason.AWAY),
    ],
)
def test_a_gap_has_the_reason_that_lasted_longest(events, reason):
    gaps = Gaps("audio", attended(*events))
    noted(gaps, (0, 2), (8, 9))
    assert gaps.listed == [Gap("audio", 2.0, 6.0, str(reason))]


def test_lost_packets_a_broken_clock_and_another_codec_are_told_apart():
    gaps = Gaps("camera", attended((0, "publish")))
    noted(gaps, (0, 1))
    noted(gaps, (3, 3), loss=True)
    gaps.clock_broke = True
    noted(gaps, (5, 5))
    gaps.go_elsewhere()
    noted(gaps, (8, 8), (8.5, 9))
    assert [gap.reason for gap in gaps.listed] == ["loss", "clock", "codec"]


def test_a_teacher_who_is_back_before_the_node_noticed_was_away():
    attendance = attended((0, "publish"))
    gaps = Gaps("camera", attendance)
    noted(gaps, (0, 5))
    attendance.publish(9_900_000, 2)
    attendance.unpublish(9_900_000, 1)
    noted(gaps, (10, 10), track=2)
    assert [gap.reason for gap in gaps.listed] == ["away"]


def test_the_beginning_and_the_end_are_told_of_as_well():
    gaps = Gaps("camera", attended((3, "publish"), (8, "unpublish")))
    noted(gaps, (4, 8))
    gaps.close(20 * SECOND)
    assert gaps.listed == [Gap("camera", 0.0, 4.0, "away"), Gap("camera", 8.0, 12.0, "away")]


def test_a_screen_that_does_not_change_has_no_gaps():
    gaps = Gaps("slides", attended((0, "publish")))
    noted(gaps, *((n * 5.0, n * 5.0) for n in range(10)))
    assert gaps.listed == []


def test_many_gaps_are_counted():
    gaps = Gaps("camera", attended((0, "publish")))
    noted(gaps, *((n * 2.0, n * 2.0) for n in range(GAPS_KEPT + 11)))
    assert len(gaps.listed) == GAPS_KEPT
    assert gaps.omitted == 10


def test_who_comes_and_goes_for_hours_needs_bounded_memory():
    attendance = Attendance()
    for n in range(20_000):
        attendance.publish(n * 2, 1)
        attendance.unpublish(n * 2 + 1, 1)
    assert len(attendance._times) <= 4_096
    assert attendance.mostly(39_000, 39_001) is None
    assert attendance.mostly(0, 100) in (None, Reason.AWAY)
