"""What is chosen of a lesson to be sent elsewhere."""

import itertools
from fractions import Fraction

from recorder.push.edge import HOLD_US, Interleaver, LiveEdge, Placed
from tests.recorder import media, sounds
from tests.recorder.journals import Journal, Sender, lesson


def placed(journal: Journal, source: str = "camera") -> list[Placed]:
    edge = LiveEdge(source)
    found = []
    for record in journal.records:
        edge.take([record])
        found += edge.poll()
    edge.finish()
    return found + edge.poll()


def kinds(found: list[Placed]) -> dict[str, int]:
    return {kind: sum(item.kind == kind for item in found) for kind in ("video", "audio")}


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
    journal.publish(1.0, 3, "slides", "H264")
    slides = media.video(size=(640, 360))
    journal.add(Sender(3, 90_000, base=5).frames(slides, 1.1))
    found = placed(journal.end(6), "slides")
    assert [item.data for item in found if item.kind == "video"] == [one.data for one in slides]
    assert kinds(found)["audio"] == 200  # and the sound
    camera = [item.data for item in placed(journal) if item.kind == "video"]
    assert camera == [one.data for one in media.video()]


def test_a_teacher_who_comes_back_is_shown_again():
    journal = lesson(seconds=2, ended=False)
    journal.event(2.5, "track_unpublished", track=1).event(2.5, "track_unpublished", track=2)
    lesson(seconds=2, at=4.0, tracks=(5, 6), journal=journal)
    found = placed(journal)
    assert kinds(found) == {"video": 120, "audio": 200}
    times = [item.time_us for item in found if item.kind == "video"]
    assert times == sorted(times)
    assert times[-1] > 5_500_000


def test_the_teacher_goes_before_an_assistant_and_a_school_is_not_the_camera():
    edge = LiveEdge("camera")
    for at, number, codec, role, shown in (
        (0.1, 6, "VP9", "school", None),
        (1, 7, "VP8", "assistant", "VP8"),
        (2, 8, "H264", "teacher", "H264"),
        (3, 9, "VP8", "assistant", "H264"),
    ):
        new = Journal().publish(at, number, "camera", codec, member=number, role=role)
        edge.take(new.records)
        assert edge.codec == shown
    edge.take(Journal().event(7, "track_unpublished", track=8).records)
    assert edge.codec == "VP8"


def test_another_camera_begins_with_a_keyframe():
    journal = lesson(seconds=4, ended=False)
    clip = media.video()
    journal.publish(0.15, 3, "camera", "H264", member=9, role="assistant")
    journal.add(Sender(3, 90_000, base=5).frames(clip, 0.2))
    journal.event(1.0, "track_unpublished", track=2)
    found = [item for item in placed(journal.end(6)) if item.kind == "video"]
    handed_over = next(n for n, item in enumerate(found) if item.time_us > 1_500_000)
    assert found[handed_over].keyframe
    assert found[handed_over].data == clip[60].data


def test_who_has_the_floor_is_heard_and_who_is_muted_is_not():
    voices = {1: sounds.tone(440, 6), 5: sounds.tone(1_000, 6)}
    journal = Journal().start()
    for number, role in ((1, "teacher"), (5, "school")):
        journal.publish(0.1, number, "microphone", "opus", member=number, role=role)
        clip = [media.Coded(Fraction(n, 50), one, True) for n, one in enumerate(voices[number])]
        sender = Sender(number, 48_000, base=number, jitter=(0.0,))
        journal.add(sender.frames(clip, 0.2)).add(sender.reports(0.2, 6.2))
    journal.event(3.2, "track_muted", track=1, muted=True)
    heard = [item.data for item in placed(journal.end(7)) if item.kind == "audio"]
    sound = sounds.decode(heard)
    teacher, school = sounds.loudness(sound, 440), sounds.loudness(sound, 1_000)
    assert teacher[50:130].min() > 0.1  # of windows of 20 ms
    assert school[50:280].min() > 0.1
    assert teacher[175:].max() < 0.05


def test_events_that_make_no_sense_change_nothing():
    journal = lesson(seconds=1, ended=False)
    track = {"track": 9, "kind": "video", "source": "camera", "codec": "H264"}
    for number, (type_, event) in enumerate(
        (
            ("track_published", {}),
            ("track_published", {**track, "track": "x"}),
            ("track_published", {**track, "track": 2, "clock_rate": 90_000}),
            ("track_published", {**track, "clock_rate": 0}),
            ("track_muted", {"track": 99, "muted": True}),
            ("track_muted", {"track": [], "muted": True}),
            ("track_unpublished", {"track": None}),
            ("track_unpublished", {"track": 99}),
        )
    ):
        journal.event(0.15 + number / 1_000, type_, **event)
    assert kinds(placed(journal.end(3))) == {"video": 30, "audio": 50}


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
