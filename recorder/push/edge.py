"""What a lesson looks and sounds like now, by its journal: one picture and one sound. Pure.

Both are chosen as the archive chooses them: the picture by `publishers.py`, the sound by `mix.py`,
everybody's who is heard. They come on the lesson's clock (`sfu._media.Timeline`), so that sound and
picture of one publisher are in sync.
"""

import heapq
import json
from collections.abc import Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from recorder.pipeline.mix import Mixer
from recorder.pipeline.publishers import ASSISTANT, TEACHER, Publishers
from sfu._media import Timeline

if TYPE_CHECKING:
    from sfu._media import Frame, LessonEvent, Record, SenderReport

HOLD_US = 300_000
"""How long a frame waits for what comes before it in another track."""

_RANKS = {TEACHER: 0, ASSISTANT: 1}


class Placed(NamedTuple):
    """A coded frame with its place in the lesson, microseconds."""

    time_us: int
    kind: str
    """"video" or "audio"."""
    data: bytes
    keyframe: bool
    arrival_us: int
    """When it came, by the node's clock."""


class _Track:
    """A published track."""

    def __init__(self, event: dict[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError when the event is not a track's."""
        self.number = int(event["track"])
        self.audio = event["kind"] == "audio"
        self.source = str(event["source"])
        self.codec = str(event["codec"])
        self.clock_rate = int(event["clock_rate"])
        self.owner = str(event.get("member", ""))
        self.role = str(event.get("role", TEACHER))
        self.muted = False
        self.came = False
        self.flowing = False
        """Shown since a keyframe: its other pictures can be, too."""


class LiveEdge:
    """Takes a journal's records in order; `poll` gives what is to be shown and heard."""

    def __init__(self, source: str) -> None:
        """`source`: whose picture, "camera" or "slides"."""
        self._source = source
        self._now = 0
        self._timeline = Timeline()
        self._publishers = Publishers()
        self._mixer = Mixer()
        self._tracks: dict[int, _Track] = {}
        self._placed: list[Placed] = []

    @property
    def codec(self) -> str | None:
        """The codec of the picture that is shown now; None while there is none."""
        shown = [track for track in self._tracks.values() if self._shows(track)]
        return shown[0].codec if shown else None

    def take(self, records: "Iterable[Record]") -> None:
        """Some more of the journal."""
        for record in records:
            self._now = max(self._now, record.arrival_us)
            match type(record).__name__:
                case "Frame":
                    self._handle_frame(record)  # type: ignore[arg-type]
                case "SenderReport":
                    self._handle_report(record)  # type: ignore[arg-type]
                case "LessonEvent":
                    self._timeline.handle_time(record.arrival_us)
                    self._handle_event(record)  # type: ignore[arg-type]
            self._place()
        if self._timeline.zero_us is not None:
            self._mixer.advance(self._now - self._timeline.zero_us)

    def poll(self) -> list[Placed]:
        """What was placed since the last call, in order of time."""
        placed, self._placed = self._placed, []
        for sound in self._mixer.poll():
            placed.append(Placed(sound.time_us, "audio", sound.data, True, self._now))
        placed.sort(key=lambda item: item.time_us)
        return placed

    def finish(self) -> None:
        """Nothing more comes: what is held is placed."""
        self._timeline.finish()
        self._place()
        self._mixer.finish()

    def _shows(self, track: _Track) -> bool:
        wanted = not track.audio and track.source == self._source
        return wanted and track.role in _RANKS and self._publishers.shows(track.number)

    def _handle_frame(self, frame: "Frame") -> None:
        track = self._tracks.get(frame.track)
        if track is None:
            return
        zero = self._timeline.zero_us
        if track.audio and not track.came and zero is not None:
            self._mixer.expect(track.number, frame.arrival_us - zero)
        track.came = True
        self._timeline.handle_frame(frame)

    def _handle_report(self, report: "SenderReport") -> None:
        if report.track in self._tracks:
            self._timeline.handle_report(report)

    def _handle_event(self, event: "LessonEvent") -> None:
        """Events that make no sense are passed over."""
        try:
            value = json.loads(event.json)
            match value["type"]:
                case "track_published":
                    self._publish(_Track(value))
                case "track_muted":
                    self._mute(self._tracks[value["track"]], bool(value["muted"]))
                case "track_unpublished":
                    self._unpublish(self._tracks[value["track"]])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return

    def _publish(self, track: _Track) -> None:
        if track.number in self._tracks or track.clock_rate <= 0:
            return
        clock = self._publishers.publish(track.number, track.owner, track.role, track.source)
        self._tracks[track.number] = track
        self._timeline.add_track(track.number, track.clock_rate, clock)
        if track.audio:
            self._mixer.add(track.number, _RANKS.get(track.role, len(_RANKS)))

    def _mute(self, track: _Track, muted: bool) -> None:
        """Who is muted is not sent elsewhere either."""
        track.muted, track.flowing = muted, False
        if track.audio and muted:
            self._mixer.remove(track.number)
        elif track.audio:
            self._mixer.add(track.number, _RANKS.get(track.role, len(_RANKS)))

    def _unpublish(self, track: _Track) -> None:
        self._timeline.remove_track(track.number)
        self._place()
        self._publishers.unpublish(track.number)
        if track.audio:
            self._mixer.remove(track.number)
        del self._tracks[track.number]

    def _place(self) -> None:
        """Choose from what the timeline has placed."""
        for timed in self._timeline.poll():
            track = self._tracks.get(timed.track)
            if track is None or track.muted:
                continue
            if track.audio:
                self._mixer.push(timed.time_us, timed.frame, track.number)
            else:
                self._place_picture(track, timed.time_us, timed.frame)

    def _place_picture(self, track: _Track, time_us: int, frame: "Frame") -> None:
        track.flowing = self._shows(track) and (track.flowing or frame.keyframe)
        if track.flowing:
            kept = Placed(time_us, "video", frame.data, frame.keyframe, frame.arrival_us)
            self._placed.append(kept)


class Interleaver:
    """Puts the frames of two tracks in the order of their times."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, Placed]] = []
        self._numbers = count()
        self._newest = 0

    def push(self, placed: Placed) -> Iterator[Placed]:
        """Add a frame; what is in order now."""
        self._newest = max(self._newest, placed.time_us)
        heapq.heappush(self._waiting, (placed.time_us, next(self._numbers), placed))
        while self._waiting and self._waiting[0][0] <= self._newest - HOLD_US:
            yield heapq.heappop(self._waiting)[2]

    def drain(self) -> Iterator[Placed]:
        """The rest."""
        while self._waiting:
            yield heapq.heappop(self._waiting)[2]
