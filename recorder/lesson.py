"""One lesson, from its journal to its archive: records in, files out.

The output is a function of the journal alone. A recorder that died is replaced by a new one that
reads the journal from the start; what is on disk already is found there and left.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recorder import playlist
from recorder.archive import (
    POSTER,
    Audio,
    Entry,
    LessonFolder,
    Manifest,
    entry_from_id,
)
from recorder.codecs import FRAGMENTED_MP4
from recorder.follow import Follower, OpenReader, State
from recorder.news import Ended, News
from recorder.pictures import Poster
from recorder.publishers import TEACHER, Publishers
from recorder.rendition import AudioRendition, VideoRendition
from recorder.timeline import Timeline
from recorder.webm import WebmView

if TYPE_CHECKING:
    from sfu._media import Frame, JournalEnd, LessonEvent, Record, SenderReport

AUDIO = "audio"
"""The name of the audio rendition; no view may have it."""

_SOURCE = re.compile(r"[a-z0-9_-]{1,32}")


Output = AudioRendition | VideoRendition | WebmView


class _Track:
    """A published track, and the rendition that it feeds."""

    def __init__(self, event: dict[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError when the event is not a track's."""
        self.number = int(event["track"])
        self.kind = str(event["kind"])
        self.source = str(event["source"])
        self.codec = str(event["codec"])
        self.clock_rate = int(event["clock_rate"])
        self.owner = str(event.get("member", ""))
        self.role = str(event.get("role", TEACHER))
        self.shown = True
        """Whether the archive has a place for it."""
        self.frames = 0
        self.output: Output | None = None
        known = {"opus"} if self.kind == "audio" else FRAGMENTED_MP4 | {"VP8"}
        if self.codec not in known or self.source == AUDIO or not _SOURCE.fullmatch(self.source):
            raise ValueError(f"a {self.kind} track of {self.codec} cannot be recorded")


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
        self._timeline = Timeline()
        self._tracks: dict[int, _Track] = {}
        self._publishers = Publishers()
        self._audio: AudioRendition | None = None
        self._views: dict[str, VideoRendition | WebmView] = {}
        self._posters: dict[str, Poster] = {}
        self._masters: dict[str, str] = {}
        self._published = 0
        self._skipped = 0
        self._handlers: dict[str, Callable[[Any], None]] = {
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
        return replace(
            self._entry,
            duration_s=round(self._end_us / 1e6, 3),
            bytes=self.folder.bytes,
            views=tuple(view.describe() for view in self._views.values() if view.frames),
            audio=Audio("opus", f"{AUDIO}.m3u8") if self._audio and self._audio.stream else None,
        )

    def step(self, limit: int) -> bool:
        """Take up to about `limit` records and publish what they complete; False when none came."""
        records = self.follower.read(limit)
        self._take(records)
        self._publish()
        if self.over:
            self._entry = replace(self._entry, state="finishing")
        return bool(records)

    def finish(self) -> None:
        """Close everything and write the manifest."""
        self._timeline.finish()
        self._push()
        end_us = self._end_us
        if self._audio is not None and self._timeline.zero_us is not None:
            self._audio.finish(end_us)
        for view in self._views.values():
            view.finish(end_us)
        self._publish(final=True)
        self.folder.tell(Ended(self.folder.id))
        self._publish_poster(Poster.best)
        self.folder.write_manifest(self._manifest())

    def close(self) -> None:
        """Let go of open files, for when this is dropped before its end."""
        for output in (self._audio, *self._views.values()):
            if output is not None:
                output.close()

    def _take(self, records: "list[Record]") -> None:
        for record in records:
            self._handlers[type(record).__name__](record)
        self._push()

    def _handle_frame(self, frame: "Frame") -> None:
        track = self._tracks.get(frame.track)
        if track is None:
            self._skipped += 1
        elif track.shown:
            self._timeline.handle_frame(frame)

    def _handle_report(self, report: "SenderReport") -> None:
        track = self._tracks.get(report.track)
        if track is not None and track.shown:
            self._timeline.handle_report(report)

    def _handle_event(self, event: "LessonEvent") -> None:
        """Events that make no sense are counted, not believed."""
        self._timeline.handle_time(event.arrival_us)
        try:
            value = json.loads(event.json)
            match value["type"]:
                case "lesson_started":
                    self._begin(event.arrival_us, value)
                case "track_published":
                    self._add_track(_Track(value))
                case "track_unpublished":
                    self._publishers.unpublish(value["track"])
        except (ValueError, KeyError, TypeError):
            self._skipped += 1

    def _handle_end(self, end: "JournalEnd") -> None:
        self._timeline.handle_time(end.arrival_us)

    def _begin(self, arrival_us: int, event: dict[str, Any]) -> None:
        title = str(event.get("title") or self._entry.title)
        self._entry = replace(
            self._entry, lesson=str(event["lesson"]), title=title, started_at=arrival_us / 1e6
        )

    def _add_track(self, track: _Track) -> None:
        """Expect a track, and show it where its place is free or its publisher is the teacher."""
        if track.number in self._tracks:
            raise ValueError("a track number came twice")
        place = AUDIO if track.kind == "audio" else track.source
        placed = self._publishers.publish(
            track.number, track.owner, track.role, track.source, place
        )
        track.shown = placed.shown
        if placed.displaced is not None:
            self._tracks[placed.displaced].shown = False
        self._tracks[track.number] = track
        self._timeline.add_track(track.number, track.clock_rate, placed.publisher)

    def _push(self) -> None:
        """Hand what the timeline has placed to the renditions."""
        for number, time_us, frame in self._timeline.poll():
            track = self._tracks[number]
            output = track.output or self._connect(track)
            track.frames += 1
            if frame.keyframe and track.kind == "video":
                self._offer_poster(output.name, time_us, frame.data)
            output.push(time_us, frame, number)
        horizon = self._timeline.horizon_us
        if horizon > 0 and not self.over:
            self._advance(horizon)

    def _connect(self, track: _Track) -> Output:
        """The rendition that a track feeds, made if it is the first to do so."""
        if track.kind == "audio":
            output: Output = self._audio or self._open_audio()
        else:
            name = self._view_name(track)
            output = self._views.get(name) or self._open_view(name, track.codec)
        track.output = output
        return output

    def _offer_poster(self, name: str, time_us: int, keyframe: bytes) -> None:
        """Keep the keyframe in mind for the poster; the first that will do is shown at once."""
        if self._posters[name].offer(time_us, keyframe) and self._entry.poster is None:
            self._publish_poster(Poster.newest)

    def _advance(self, horizon_us: int) -> None:
        """Fill what stays silent, so that the live playlists grow together."""
        if self._audio is None and any(track.kind == "audio" for track in self._tracks.values()):
            self._open_audio()
        if self._audio is not None:
            self._audio.advance(horizon_us)
        for view in self._views.values():
            view.advance(horizon_us)

    def _open_audio(self) -> AudioRendition:
        self._audio = AudioRendition(AUDIO, self.folder, self._zero)
        return self._audio

    def _open_view(self, name: str, codec: str) -> VideoRendition | WebmView:
        view: VideoRendition | WebmView
        if codec in FRAGMENTED_MP4:
            view = VideoRendition(name, codec, self.folder, self._zero)
        else:
            view = WebmView(name, self.folder, self._audio_promised())
        self._views[name] = view
        self._posters[name] = Poster(codec)
        return view

    def _audio_promised(self) -> AudioRendition | None:
        """The audio rendition, made ahead of its first packet when an audio track is published."""
        if any(track.kind == "audio" for track in self._tracks.values()):
            return self._audio or self._open_audio()
        return None

    def _view_name(self, track: _Track) -> str:
        """A source's view; a second codec of the same source gets a view of its own."""
        view = self._views.get(track.source)
        if view is None or view.codec == track.codec:
            return track.source
        return f"{track.source}-{track.codec.lower()}"

    @property
    def _zero(self) -> float:
        return (self._timeline.zero_us or 0) / 1e6

    @property
    def _end_us(self) -> int:
        outputs = [self._audio, *self._views.values()]
        return max((output.end_us for output in outputs if output is not None), default=0)

    def _publish(self, *, final: bool = False) -> None:
        """Bring the playlists up to date: media first, then the masters that name them."""
        if self._published == self.folder.bytes and not final:
            return  # no new segment
        self._published = self.folder.bytes
        if self._audio is not None:
            self._audio.publish_playlist()
        audio = self._audio.stream if self._audio else None
        if audio is not None:
            self._publish_master(AUDIO, playlist.master(None, audio))
        for view in self._views.values():
            view.publish_playlist()
            if view.stream is not None:
                self._publish_master(view.name, playlist.master(view.stream, audio))

    def _publish_master(self, name: str, text: str) -> None:
        if self._masters.get(name) != text:
            self.folder.replace(f"{name}.m3u8", text.encode())
            self._masters[name] = text

    def _publish_poster(self, choose: Callable[[Poster], bytes | None]) -> None:
        """The camera's when it has one, else another view's."""
        for name in sorted(self._posters, key=lambda name: (name != "camera", name)):
            picture = choose(self._posters[name])
            if picture:
                self.folder.replace(POSTER, picture)
                self._entry = replace(self._entry, poster=POSTER)
                return

    def _manifest(self) -> Manifest:
        reader = self.follower.reader
        sources = [source for source in (self._audio, *self._views.values()) if source]
        return Manifest(
            entry=self._final_entry(),
            tracks=[self._count(track) for track in self._tracks.values()],
            gaps=[gap for source in sources for gap in source.gaps.listed],
            counts={
                "frames": sum(source.frames for source in sources),
                "frames_dropped": sum(source.dropped for source in sources),
                "gaps_omitted": sum(source.gaps.omitted for source in sources),
                "journal_bytes": reader.bytes_read,
                "journal_errors": reader.errors,
                "records_skipped": self._skipped,
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

    def _count(self, track: _Track) -> dict[str, Any]:
        return {
            "track": track.number,
            "kind": track.kind,
            "source": track.source,
            "codec": track.codec,
            "shown": track.shown,
            "frames": track.frames,
            "frames_rebased": self._timeline.rebased(track.number),
        }


def give_up(folder: Path, entry: Entry, reason: str) -> Entry:
    """Archive what there is of a lesson that cannot be recorded to its end. Raises OSError."""
    lesson = LessonFolder(folder)
    lesson.close_playlists()
    entry = replace(entry, state="degraded", reason=reason, bytes=lesson.bytes)
    lesson.write_manifest(Manifest(entry))
    return entry
