"""A lesson's LL-HLS, watched by the linter while it grows in virtual time."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.news import Closed, Ended, News, Opened, Part
from recorder.pipeline.lesson import LessonRecorder
from recorder.web.broadcast import LiveLesson, LiveLessons
from recorder.web.rendition import Answer, LiveRendition
from tests.recorder import media
from tests.recorder.hls_linter import Linter, check_reports, parse
from tests.recorder.journals import Journal, Sender, at_us, lesson, loop

RATES = {"audio": 48_000, "camera": 90_000, "slides": 90_000}


class Watched:
    """A lesson recorded step by step, its playlists linted after each."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self.lessons = LiveLessons()
        self.news: list[News] = []
        self.linters: dict[str, Linter] = {}
        self.hints: set[tuple[str, str]] = set()
        self._folder = folder
        self._recorder = LessonRecorder(folder, journal.opener(), self._hear)

    @property
    def lesson(self) -> LiveLesson:
        return self.lessons.lessons[self._folder.name]

    def run(self, turn: int = 9, *, finish: bool = True) -> "Watched":
        while self._recorder.step(turn):
            self.look()
        if finish:
            self._recorder.finish()
            self.look()
        return self

    def look(self) -> None:
        if self._folder.name not in self.lessons.lessons:
            return
        found = {}
        for name, rendition in self.lesson.renditions.items():
            if not rendition.playable:
                continue
            text = self.lesson.media_playlist(name, skip=False).text
            delta = self.lesson.media_playlist(name, skip=True).text
            linter = self.linters.setdefault(name, Linter(self._fetch(rendition), RATES[name]))
            found[name] = linter.see(text, delta)
        check_reports(found)

    def _hear(self, news: News) -> None:
        self.news.append(news)
        self.lessons.handle(news)

    def _fetch(self, rendition: LiveRendition) -> Callable[[str], bytes]:
        folder = self._folder / "media" / rendition.name

        def fetch(uri: str) -> bytes:
            if uri.count(".") == 1:
                return (folder / uri).read_bytes()
            answer, place = rendition.find(uri)
            assert answer is Answer.NOW
            assert place is not None
            data = (folder / place.file).read_bytes()
            return data[place.offset : place.offset + place.size]

        return fetch


@pytest.mark.parametrize("codec", ["H264", "VP9", "AV1"])
def test_a_live_lesson_keeps_its_word(codec: str, folder: Path):
    watched = Watched(folder, lesson(codec, 9)).run()
    assert watched.linters["audio"].parts_seen == pytest.approx(45, abs=2)
    assert watched.linters["camera"].parts_seen == pytest.approx(45, abs=3)


@pytest.mark.parametrize("fps", [5, 10, 12, 15, 24, 25, 30, 60])
def test_parts_keep_to_their_target_at_any_frame_rate(fps: int, folder: Path):
    journal = Journal().start().publish(0, 2, "camera", "H264")
    clip = loop(media.video("H264", fps=fps, gop=fps * 2), 6)
    journal.add(Sender(2, 90_000).frames(clip, 0.2)).end(7)
    watched = Watched(folder, journal).run()
    assert watched.linters["camera"].parts_seen >= 25


def test_slides_that_stand_still_come_in_parts_of_a_second(folder: Path):
    journal = lesson("H264", 14, ended=False)
    journal.publish(0.1, 3, "slides", "H264")
    clip = loop(media.video("H264", 4, size=(640, 360), fps=1, gop=4), 14)
    journal.add(Sender(3, 90_000, base=1).frames(clip, 0.2)).end(14.6)
    watched = Watched(folder, journal).run()
    assert parse(watched.lesson.media_playlist("slides", skip=False).text).part_target == 1.1
    assert watched.linters["slides"].parts_seen >= 11


def test_a_picture_that_stands_still_ends_the_parts_of_its_segment(folder: Path):
    """A sample of a second does not fit into a part: its segment is given out when it is whole."""
    journal = lesson("H264", 12)
    journal.records = [
        r for r in journal.records
        if not (getattr(r, "track", 0) == 2 and at_us(4.8) < r.arrival_us < at_us(6.1))
    ]  # fmt: skip
    watched = Watched(folder, journal).run(3)
    parts = {news.segment: news.number + 1 for news in watched.news
             if isinstance(news, Part) and news.rendition == "camera"}  # fmt: skip
    closed = {news.segment for news in watched.news
              if isinstance(news, Closed) and news.rendition == "camera"}  # fmt: skip
    assert sum(count < 5 for number, count in parts.items() if number < max(closed)) == 1


def test_new_parameters_are_a_new_map_for_live_players_too(folder: Path):
    journal = lesson("H264", 6, ended=False)
    wider = loop(media.video("H264", size=(640, 360)), 6)
    journal.add(Sender(2, 90_000, capture_delay=0.08).frames(wider, 6.2))
    journal.add(Sender(1, 48_000, base=7).frames(loop(media.audio(), 6), 6.2)).end(12.5)
    watched = Watched(folder, journal).run()
    playlist = parse(watched.lesson.media_playlist("camera", skip=False).text)
    assert {segment.init for segment in playlist.segments} == {"init-0001.mp4", "init-0002.mp4"}


def test_players_that_are_up_to_date_need_not_load_the_whole_lesson(folder: Path):
    watched = Watched(folder, lesson("H264", 70)).run(200)
    assert watched.linters["camera"].deltas_seen > 10
    assert watched.linters["audio"].deltas_seen > 10


def test_a_replaying_worker_changes_nothing(folder: Path):
    journal = lesson("H264", 12, ended=False)
    first = Watched(folder, journal)
    first.run(finish=False)
    before = first.lesson.media_playlist("camera", skip=False).text
    recorder = LessonRecorder(folder, journal.end(13).opener(), first._hear)
    grown = 0
    while recorder.step(11):
        text = first.lesson.media_playlist("camera", skip=False).text
        grown += text != before
        first.look()
    assert grown <= 2, "only what the end of the lesson added is new"


def test_the_end_of_a_lesson_ends_its_playlists(folder: Path):
    watched = Watched(folder, lesson("H264", 6)).run()
    for name in ("camera", "audio"):
        text = watched.lesson.media_playlist(name, skip=False).text
        assert text.endswith("#EXT-X-ENDLIST\n")
        assert "EXT-X-PART:" not in text
        on_disk = (folder / "media" / name / "index.m3u8").read_text()
        assert text.count("#EXTINF") == on_disk.count("#EXTINF")


def test_masters_are_there_with_the_first_parts(folder: Path):
    watched = Watched(folder, lesson("H264", 6, ended=False)).run(finish=False)
    text = watched.lesson.master("camera")
    assert text is not None
    assert 'AUDIO="audio"' in text
    assert "RESOLUTION=320x180" in text
    assert watched.lesson.master("slides") is None
    sound = watched.lesson.master("audio")
    assert sound is not None
    assert "RESOLUTION" not in sound


OPENED = Opened("L", "camera", "init-0001.mp4", "avc1.42c01f", 1_790_000_000.0, 0.22, 1280, 720)


@pytest.fixture
def camera() -> LiveRendition:
    """Three whole segments of ten parts, and two parts of the next."""
    rendition = LiveRendition(OPENED)
    for segment in range(3):
        for number in range(10):
            rendition.handle_part(part(segment, number))
        rendition.handle_closed(closed(segment))
    for number in range(2):
        rendition.handle_part(part(3, number))
    return rendition


def part(segment: int, number: int) -> Part:
    return Part("L", "camera", segment, number, number * 100, 100, 0.2, number == 0)


def closed(segment: int) -> Closed:
    return Closed("L", "camera", segment, f"{segment + 1:06d}.m4s", 1_000, segment * 2.0, 2.0)


@pytest.mark.parametrize(
    ("segment", "number", "answer"),
    [
        (0, None, Answer.NOW),
        (2, None, Answer.NOW),
        (2, 9, Answer.NOW),
        (2, 10, Answer.NOW),  # beyond its last part: the first one of the next segment
        (3, 1, Answer.NOW),
        (3, 2, Answer.WAIT),
        (3, None, Answer.WAIT),
        (3, 15, Answer.WAIT),
        (3, 16, Answer.BAD),  # more than three seconds of parts ahead
        (4, None, Answer.WAIT),
        (4, 0, Answer.WAIT),
        (5, None, Answer.BAD),
        (10**8, 0, Answer.BAD),
    ],
)
def test_who_waits_and_who_is_refused(camera, segment: int, number: int | None, answer: Answer):
    assert camera.ask(segment, number) is answer


def test_a_part_beyond_the_last_of_a_segment_is_the_first_of_the_next(camera: LiveRendition):
    for number in range(2, 10):
        camera.handle_part(part(3, number))
    camera.handle_closed(closed(3))
    assert camera.ask(3, 9) is Answer.NOW
    assert camera.ask(3, 10) is Answer.WAIT
    camera.handle_part(part(4, 0))
    assert camera.ask(3, 10) is Answer.NOW


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("000001.0.m4s", Answer.NOW),
        ("000004.1.m4s", Answer.NOW),
        ("000004.2.m4s", Answer.WAIT),
        ("000004.3.m4s", Answer.BAD),
        ("000005.0.m4s", Answer.BAD),
        ("000001.10.m4s", Answer.BAD),
        ("000000.0.m4s", Answer.BAD),
        ("1.0.m4s", Answer.BAD),
        ("index.0.m4s", Answer.BAD),
    ],
)
def test_a_part_has_a_name_of_its_own(camera: LiveRendition, name: str, answer: Answer):
    assert camera.find(name)[0] is answer


def test_a_hint_that_did_not_come_true_is_let_go(camera: LiveRendition):
    assert camera.find("000004.2.m4s")[0] is Answer.WAIT
    camera.handle_closed(closed(3))
    assert camera.find("000004.2.m4s")[0] is Answer.BAD


def test_nobody_waits_for_what_has_ended(camera: LiveRendition):
    camera.end()
    assert camera.ask(3, 2) is Answer.NOW
    assert camera.find("000004.2.m4s")[0] is Answer.BAD


def test_a_segment_is_a_file_to_keep_once_it_is_whole(camera: LiveRendition):
    assert camera.has_segment("000003.m4s")
    assert not camera.has_segment("000004.m4s")
    assert camera.has_segment("init-0001.mp4")


def test_news_of_what_never_began_is_no_news():
    lessons = LiveLessons()
    for news in (part(0, 0), closed(0), Ended("L")):
        lessons.handle(news)
    assert not lessons.lessons
    lessons.handle(OPENED)
    lessons.handle(Part("L", "slides", 0, 0, 0, 1, 0.2, True))
    assert list(lessons.lessons["L"].renditions) == ["camera"]
    lessons.forget("L")
    lessons.forget("L")
    assert not lessons.lessons
