"""One lesson, from its journal to its archive: records in, files out.

The output is a function of the journal alone, record by record: it does not matter in which
portions it is read. A recorder that died is replaced by a new one that reads the journal from the
start; what is on disk already is found there and left.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recorder.archive import details
from recorder.archive.layout import Audio, Entry, LessonFolder, Manifest, entry_from_id
from recorder.archive.talk import Talk
from recorder.news import Ended, News
from recorder.pipeline.arrivals import Arrivals
from recorder.pipeline.codecs import FRAGMENTED_MP4, OPUS_RATE
from recorder.pipeline.follow import Follower, OpenReader, State
from recorder.pipeline.mux import VIDEO_RATE
from recorder.pipeline.outputs import AUDIO, Outputs, VideoView
from recorder.pipeline.publishers import ASSISTANT, TEACHER, Publishers, place_of
from sfu._media import Timeline

if TYPE_CHECKING:
    from sfu._media import Frame, JournalEnd, LessonEvent, Record, SenderReport

TICK_US = 100_000
"""How often, by the journal's clock, it is looked at who is silent,"""
STEADY_TICK_US = 1_000_000
"""and how often while all tracks are bound: nothing is decided then but by long silences."""

_SOURCE = re.compile(r"[a-z0-9_-]{1,32}")
_LAST_TRACK = 0xFFFF  # a journal has 16 bits for their numbers
_TITLE = 500
_RANKS = {TEACHER: 0, ASSISTANT: 1}


class _Track:
    """A published track."""

    def __init__(self, event: dict[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError, OverflowError when the event is not a track's."""
        self.number = int(event["track"])
        self.source = str(event["source"])
        self.codec = str(event["codec"])
        self.audio = event["kind"] == "audio"
        self.clock_rate = int(event["clock_rate"])
        self.owner = str(event.get("member", ""))
        self.role = str(event.get("role", TEACHER))
        self.place = AUDIO if self.audio else place_of(self.role, self.source)
        self.muted = False
        self.shown = False
        """Whether anything of it is in the archive."""
        self.frames = 0
        self.gone = False
        self.came = False
        """A frame of it has come."""
        self.flowing = False
        """Its frames are shown one after the other: a picture that refers to others can be."""
        self.bound = False
        """The timeline hands its frames on by itself, until something happens (`_release`)."""
        self.view: VideoView | None = None
        known, rate = ({"opus"}, OPUS_RATE) if self.audio else (_VIDEO, VIDEO_RATE)
        if self.codec not in known or self.clock_rate != rate:
            raise ValueError(f"{self.codec} cannot be recorded")
        if not 0 < self.number <= _LAST_TRACK or self.source == AUDIO:
            raise ValueError("no track has such a number or source")
        if not _SOURCE.fullmatch(self.source):
            raise ValueError("no source has such a name")

    def as_json(self, rebased: int) -> dict[str, Any]:
        """What the manifest says of it."""
        return {
            "track": self.number,
            "kind": "audio" if self.audio else "video",
            "source": self.source,
            "codec": self.codec,
            "place": self.place,
            "role": self.role,
            "shown": self.shown,
            "frames": self.frames,
            "frames_rebased": rebased,
        }


_VIDEO = FRAGMENTED_MP4 | {"VP8"}


class LessonRecorder:
    """Records one lesson.

    `step` until it says that nothing came; again later; when `over`, `finish` once. Raises
    JournalError, MediaError, OSError: then this object is spent, and a new one replays.
    """

    def __init__(
        self,
        folder: Path,
        open_reader: OpenReader,
        tell: Callable[[News], None] = lambda news: None,
    ) -> None:
        """`tell` hears of every part. Raises FileNotFoundError when there is no journal yet,
        JournalError, ArchiveError."""
        self.folder = LessonFolder(folder, tell)
        self.follower = Follower(self.folder.journal, open_reader)
        self._entry = entry_from_id(self.folder.id)
        self._arrivals = Arrivals(round(self._entry.started_at * 1e6))
        self._timeline = Timeline()
        self._tracks: dict[int, _Track] = {}
        self._publishers = Publishers()
        self._talk = Talk()
        self._outputs = Outputs(self.folder)
        self._published = 0
        self._tick_us = 0
        self._due_us = 0
        self._skipped = 0
        self._handlers: dict[str, Callable[[int, Any], None]] = {
            "Frame": self._handle_frame,
            "SenderReport": self._handle_report,
            "LessonEvent": self._handle_event,
            "JournalEnd": self._handle_end,
        }

    @property
    def over(self) -> bool:
        """The writer is done or gone, and all it wrote is read."""
        return self.follower.state is not State.LIVE

    @property
    def entry(self) -> Entry:
        """What the catalogue should say now."""
        audio = self._outputs.audio
        return replace(
            self._entry,
            duration_s=round(self._outputs.end_us / 1e6, 3),
            bytes=self.folder.bytes,
            views=self._outputs.describe(),
            audio=Audio("opus", f"{AUDIO}.m3u8") if audio and audio.stream else None,
            poster=self._outputs.poster,
        )

    def step(self, limit: int) -> bool:
        """Take up to about `limit` records and publish what they complete; False when none came."""
        records = self.follower.read(limit)
        self._take(records)
        if self.folder.bytes != self._published:  # a segment is whole
            self._published = self.folder.bytes
            self._outputs.publish()
        if self.over:
            self._entry = replace(self._entry, state="finishing")
        return bool(records)

    def finish(self) -> None:
        """Close everything and write the manifest."""
        self._arrivals.finish()
        self._timeline.finish()
        self._push()
        self._release()
        self._outputs.finish()
        self.folder.tell(Ended(self.folder.id))
        self._outputs.publish_poster()
        self._talk.write(self.folder.path)
        self.folder.write_manifest(self._manifest())

    def close(self) -> None:
        """Let go of open files, for when this is dropped before its end."""
        self._outputs.close()

    # --- records

    def _take(self, records: "list[Record]") -> None:
        """Each record in turn: it is the same however many come at a time. Nearly all are frames
        that follow others, which the timeline hands on by itself."""
        arrivals, timeline, at = self._arrivals, self._timeline, 0
        while at < len(records):
            until = min(arrivals.latest, self._due_us - 1)
            between = arrivals.earliest, until
            at = timeline.take(records, at, arrivals.shift, between)
            for segmenter in timeline.grown():
                segmenter.write()
            self._push()
            if at < len(records):
                self._take_one(records[at])
                self._push()
                at += 1

    def _take_one(self, record: "Record") -> None:
        arrivals = self._arrivals
        at = record.arrival_us + arrivals.shift
        if arrivals.earliest < at <= arrivals.latest:
            self._handle(at, record)
        else:
            for believed in arrivals.handle(record):
                self._handle(*believed)

    def _handle(self, arrival: int, record: "Record") -> None:
        if arrival >= self._tick_us:
            self._tick(arrival)
        self._handlers[type(record).__name__](arrival, record)

    def _handle_frame(self, arrival: int, frame: "Frame") -> None:
        track = self._tracks.get(frame.track)
        if track is None or track.gone:
            self._skipped += 1
            return
        if track.audio and not track.came and self._timeline.zero_us is not None:
            self._outputs.mixer.expect(track.number, arrival - self._timeline.zero_us)
        track.came = True
        self._timeline.handle_frame(frame, arrival)

    def _handle_report(self, arrival: int, report: "SenderReport") -> None:
        track = self._tracks.get(report.track)
        if track is not None and not track.gone:
            self._timeline.handle_report(report, arrival)

    def _handle_event(self, arrival: int, event: "LessonEvent") -> None:
        """Events that make no sense are counted, not believed."""
        self._timeline.handle_time(arrival)
        self._push()
        self._release()
        try:
            value = json.loads(event.json)
            match value["type"]:
                case "lesson_started":
                    self._begin(arrival, value)
                case "lesson_described":
                    self._entry = replace(self._entry, **details.given(value))
                case "chat":
                    self._talk.add(self._lesson_time(arrival) / 1e6, value)
                case "track_published":
                    self._add_track(arrival, _Track(value))
                case "track_muted":
                    self._mute(arrival, self._tracks[value["track"]], bool(value["muted"]))
                case "track_unpublished":
                    self._remove_track(arrival, self._tracks[value["track"]])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            self._skipped += 1

    def _handle_end(self, arrival: int, end: "JournalEnd") -> None:
        self._timeline.handle_time(arrival)

    # --- events

    def _begin(self, arrival: int, event: dict[str, Any]) -> None:
        lesson = str(event["lesson"])[:_TITLE]
        said = details.given(event)
        self._entry = replace(self._entry, lesson=lesson, started_at=arrival / 1e6, **said)

    def _add_track(self, arrival: int, track: _Track) -> None:
        if track.number in self._tracks:
            raise ValueError("a track number came twice")
        clock = self._publishers.publish(track.number, track.owner, track.role, track.source)
        self._tracks[track.number] = track
        self._timeline.add_track(track.number, track.clock_rate, clock)
        self._outputs.attendance(track.place).publish(self._lesson_time(arrival), track.number)
        if track.audio:
            self._outputs.mixer.add(track.number, _RANKS.get(track.role, len(_RANKS)))

    def _mute(self, arrival: int, track: _Track, muted: bool) -> None:
        """Who is muted is not in the archive either, whatever is still sent."""
        if track.gone:
            return
        track.muted, track.flowing = muted, False
        self._outputs.attendance(track.place).mute(self._lesson_time(arrival), track.number, muted)
        if not track.audio:
            return
        if muted:
            self._outputs.mixer.remove(track.number)
        else:
            self._outputs.mixer.add(track.number, _RANKS.get(track.role, len(_RANKS)))

    def _remove_track(self, arrival: int, track: _Track) -> None:
        if track.gone:
            return
        track.gone = True
        self._timeline.remove_track(track.number)
        self._push()
        self._publishers.unpublish(track.number)
        self._outputs.attendance(track.place).unpublish(self._lesson_time(arrival), track.number)
        if track.audio:
            self._outputs.mixer.remove(track.number)

    def _lesson_time(self, arrival: int) -> int:
        zero = self._timeline.zero_us
        return 0 if zero is None else max(arrival - zero, 0)

    # --- media

    def _push(self) -> None:
        """Hand what the timeline has placed to the outputs."""
        outputs, tracks = self._outputs, self._tracks
        outputs.zero_us = self._timeline.zero_us or 0
        for timed in self._timeline.poll():
            track = tracks[timed.track]
            track.frames += 1
            if track.muted:
                continue
            if track.audio:
                track.shown = True
                outputs.push_sound(timed.time_us, timed.frame, track.number)
            else:
                self._push_picture(track, timed.time_us, timed.frame, timed.by_arrival)
            if not track.bound and (track.audio or track.flowing) and not track.gone:
                track.bound = outputs.bind(self._timeline, track.number, track.view)

    def _release(self) -> None:
        """Something happens: look at the next frame of each track."""
        self._due_us = self._tick_us
        for track in self._tracks.values():
            if track.bound:
                track.frames += self._timeline.release(track.number)
                track.bound = False

    def _push_picture(self, track: _Track, time_us: int, frame: "Frame", broken: bool) -> None:
        if not self._publishers.shows(track.number):
            track.flowing = False
        elif frame.keyframe:
            track.flowing = True
        if not track.flowing:
            return
        view = track.view
        if view is None:
            view = track.view = self._outputs.view(track.place, track.codec)
            self._outputs.change_over(track.place, view)
        track.shown = True
        if broken:
            view.gaps.clock_broke = True
        self._outputs.push_picture(view, time_us, frame, track.number)

    def _tick(self, arrival: int) -> None:
        """Look who is silent. While nobody publishes, nothing is filled: it may be the end."""
        self._tick_us = arrival - arrival % TICK_US + TICK_US
        steady = all(track.bound or track.gone for track in self._tracks.values())
        self._due_us = arrival + STEADY_TICK_US if steady else self._tick_us
        self._arrivals.move(arrival)
        self._timeline.handle_time(arrival)
        self._push()
        zero = self._timeline.zero_us
        if zero is None:
            return
        self._outputs.listen(arrival - zero)
        horizon = self._timeline.horizon_us
        if horizon > 0 and self._publishers.any:
            self._outputs.advance(horizon, arrival - zero)

    # --- the manifest

    def _manifest(self) -> Manifest:
        reader = self.follower.reader
        sources = list(self._outputs.all())
        mixer = self._outputs.mixer
        return Manifest(
            entry=self._final_entry(),
            tracks=[
                track.as_json(self._timeline.rebased(track.number))
                for track in self._tracks.values()
            ],
            gaps=[gap for source in sources for gap in source.gaps.listed],
            counts={
                "frames": sum(source.frames for source in sources),
                "frames_dropped": sum(source.dropped for source in sources) + mixer.dropped,
                "gaps_omitted": sum(source.gaps.omitted for source in sources),
                "journal_bytes": reader.bytes_read,
                "journal_errors": reader.errors,
                "records_skipped": self._skipped + self._arrivals.refused,
                "sound_mixed_ms": mixer.mixed * 20,
            },
        )

    def _final_entry(self) -> Entry:
        errors = self.follower.reader.errors
        if self.follower.state is State.ABANDONED:
            return replace(self.entry, state="recovered", reason="The node ended in mid-lesson.")
        if errors:
            reason = f"{errors} records of the journal were damaged."
            return replace(self.entry, state="degraded", reason=reason)
        return replace(self.entry, state="complete")


def give_up(folder: Path, entry: Entry, reason: str) -> Entry:
    """Archive what there is of a lesson that cannot be recorded to its end. Raises OSError."""
    lesson = LessonFolder(folder)
    seconds = round(lesson.close_playlists(), 3) or entry.duration_s
    entry = replace(entry, state="degraded", reason=reason, bytes=lesson.bytes, duration_s=seconds)
    lesson.write_manifest(Manifest(entry))
    return entry
