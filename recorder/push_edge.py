"""What a lesson looks and sounds like now, by its journal: one picture and one sound. Pure.

Of several who publish the wanted source the teacher's is taken, else who was there first. Frames
come on the lesson's clock (`timeline.py`), so that sound and picture of one publisher are in sync.
"""

import heapq
import json
from collections.abc import Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from recorder.arrivals import Arrivals
from recorder.timeline import Timeline

if TYPE_CHECKING:
    from sfu._media import Frame, LessonEvent, Record

HOLD_US = 300_000
"""How long a frame waits for what comes before it in another track."""

_MICROPHONE = "microphone"
_TEACHER = "teacher"


class Placed(NamedTuple):
    """A frame with its place in the lesson, microseconds."""

    time_us: int
    kind: str
    frame: "Frame"


class _Track(NamedTuple):
    number: int
    kind: str
    codec: str
    first: bool
    """The teacher's: it goes before others."""


class LiveEdge:
    """Takes a journal's records in order; `poll` gives what is to be shown and heard."""

    def __init__(self, source: str) -> None:
        """`source`: whose picture, "camera" or "slides"."""
        self._source = source
        self._arrivals = Arrivals(0)
        self._timeline = Timeline()
        self._tracks: dict[int, _Track] = {}
        self._shown: dict[str, int] = {}

    def codec(self, kind: str) -> str | None:
        """The codec of the picture or sound that is chosen now; None while there is none."""
        number = self._shown.get(kind)
        return None if number is None else self._tracks[number].codec

    def take(self, records: "Iterable[Record]") -> None:
        """Some more of the journal."""
        for told in records:
            for arrival, record in self._arrivals.handle(told):
                self._take(arrival, record)

    def _take(self, arrival: int, record: "Record") -> None:
        match type(record).__name__:
            case "Frame" if record.track in self._tracks:  # type: ignore[union-attr]
                self._timeline.handle_frame(record, arrival)  # type: ignore[arg-type]
            case "SenderReport" if record.track in self._tracks:  # type: ignore[union-attr]
                self._timeline.handle_report(record, arrival)  # type: ignore[arg-type]
            case "LessonEvent":
                self._timeline.handle_time(arrival)
                self._handle_event(record)  # type: ignore[arg-type]

    def poll(self) -> list[Placed]:
        """What was placed since, of the tracks that are chosen now, in order."""
        placed = [
            Placed(time_us, self._tracks[number].kind, frame)
            for number, time_us, frame, _ in self._timeline.poll()
            if number in self._tracks and self._shown.get(self._tracks[number].kind) == number
        ]
        placed.sort(key=lambda item: item.time_us)
        return placed

    def finish(self) -> None:
        """Nothing more comes: what is held is placed."""
        self._timeline.finish()

    def _handle_event(self, event: "LessonEvent") -> None:
        """Events that make no sense are passed over."""
        try:
            value = json.loads(event.json)
            match value["type"]:
                case "track_published":
                    self._publish(value)
                case "track_unpublished":
                    self._unpublish(int(value["track"]))
        except (ValueError, KeyError, TypeError):
            return

    def _publish(self, value: dict[str, Any]) -> None:
        kind, number = str(value["kind"]), int(value["track"])
        wanted = self._source if kind == "video" else _MICROPHONE
        if value["source"] != wanted or number in self._tracks:
            return
        first = value.get("role", _TEACHER) == _TEACHER
        self._timeline.add_track(number, int(value["clock_rate"]), int(value.get("member", 0)))
        self._tracks[number] = _Track(number, kind, str(value["codec"]), first)
        self._choose(kind)

    def _unpublish(self, number: int) -> None:
        track = self._tracks.pop(number, None)
        if track is not None:
            self._choose(track.kind)

    def _choose(self, kind: str) -> None:
        """The newest of the teacher's (who came back), else the oldest of the others'."""
        rivals = [track for track in self._tracks.values() if track.kind == kind]
        teachers = [track for track in rivals if track.first]
        best = teachers[-1:] or rivals[:1]
        if best:
            self._shown[kind] = best[0].number
        else:
            self._shown.pop(kind, None)


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
