"""What is chosen of a lesson to be sent elsewhere."""

import itertools

from recorder.push_edge import HOLD_US, Interleaver, LiveEdge, Placed
from tests.recorder import media
from tests.recorder.journals import Journal, Sender, lesson


def placed(journal: Journal, source: str = "camera") -> list[Placed]:
    edge = LiveEdge(source)
    found = []
    for record in journal.records:
        edge.take([record])
        found += edge.poll()
    edge.finish()
    return found + edge.poll()


def tracks(found: list[Placed]) -> set[int]:
    return {item.frame.track for item in found}


def test_sound_and_picture_of_the_teacher_in_sync():
    found = placed(lesson(seconds=4))
    flashes = [
        item.time_us / 1e6
        for item, coded in zip(
            [item for item in found if item.kind == "video"], media.video("H264"), strict=True
        )
        if media.is_flash(float(coded.seconds))
    ]
    beeps = [
        item.time_us / 1e6
        for item, coded in zip(
            [item for item in found if item.kind == "audio"], media.audio(), strict=True
        )
        if media.is_flash(float(coded.seconds))
    ]
    assert abs(flashes[0] - beeps[0]) < 0.02


def test_slides_go_alone_where_they_are_asked_for():
    journal = lesson(seconds=4, ended=False)
    journal.publish(1.0, 3, "slides", "H264", member=1, role="teacher")
    journal.add(Sender(3, 90_000, base=5).frames(media.video(), 1.1))
    found = placed(journal.end(6), "slides")
    assert tracks(found) == {1, 3}  # and the sound
    assert tracks(placed(journal, "camera")) == {1, 2}


def test_a_teacher_who_comes_back_is_shown_again():
    journal = lesson(seconds=2, ended=False)
    journal.event(2.5, "track_unpublished", track=1).event(2.5, "track_unpublished", track=2)
    lesson(seconds=2, at=4.0, tracks=(5, 6), journal=journal)
    found = placed(journal)
    assert tracks(found) == {1, 2, 5, 6}
    times = [item.time_us for item in found if item.kind == "video"]
    assert times == sorted(times)
    assert times[-1] > 5_500_000


def test_the_teacher_goes_before_an_assistant():
    journal = Journal().start()
    journal.publish(0.1, 7, "camera", "VP8", member=2, role="assistant")
    journal.add(Sender(7, 90_000, base=1).frames(media.video(), 0.2))
    edge = LiveEdge("camera")
    edge.take(journal.records)
    assert edge.codec("video") == "VP8"
    later = Journal().publish(5, 8, "camera", "H264", member=1, role="teacher")
    edge.take(later.records)
    assert edge.codec("video") == "H264"
    edge.take(Journal().publish(6, 9, "camera", "VP8", member=3, role="assistant").records)
    assert edge.codec("video") == "H264"
    edge.take(Journal().event(7, "track_unpublished", track=8).records)
    assert edge.codec("video") == "VP8"
    assert edge.codec("audio") is None


def test_events_that_make_no_sense_change_nothing():
    journal = lesson(seconds=1, ended=False)
    for number, event in enumerate(
        (
            {"type_": "track_published"},
            {"type_": "track_published", "track": "x", "kind": "video", "source": "camera"},
            {"type_": "track_published", "track": 2, "kind": "audio", "source": "microphone"},
            {"type_": "track_unpublished", "track": None},
            {"type_": "track_unpublished", "track": 99},
        )
    ):
        type_ = event.pop("type_")
        journal.event(0.15 + number / 1_000, str(type_), **event)
    assert tracks(placed(journal.end(3))) == {1, 2}


def test_two_tracks_become_one_row():
    found = placed(lesson(seconds=4))
    order = Interleaver()
    row = [out for item in found for out in order.push(item)]
    held = list(order.drain())
    assert len(row) + len(held) == len(found)
    times = [item.time_us for item in row + held]
    late = [b - a for a, b in itertools.pairwise(times) if b < a]
    assert not late
    assert held[-1].time_us - held[0].time_us <= HOLD_US
