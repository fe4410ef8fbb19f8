"""Turns a film into a lesson's folder: the work that runs in the sandbox."""

import bisect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from recorder.archive import reading
from recorder.archive.extras.make import make
from recorder.archive.layout import (
    POSTER,
    Audio,
    Entry,
    LessonFolder,
    Manifest,
    View,
    entry_from_id,
)
from recorder.errors import MediaError
from recorder.importing import pictures, sound
from recorder.importing.plan import Plan, opened, tracks
from recorder.importing.segments import Track
from recorder.pipeline import codecs, playlist
from recorder.pipeline.pictures import poster_of

VIDEO = "camera"
AUDIO = "audio"

OnSeconds = Callable[[float], None]
"""Told how far it has come, in seconds of the film."""


class Converter:
    """One film into one folder. Raises MediaError, OSError."""

    def __init__(self, source: Path, folder: Path, plan: Plan, entry: Entry) -> None:
        self._source = source
        self._plan = plan
        self._entry = entry
        self._folder = LessonFolder(folder)
        self._video: Track | None = None
        self._audio: Track | None = None
        self._size = (0, 0)
        self._held: tuple[bytes, int, bool] | None = None

    def run(self, on_seconds: OnSeconds) -> None:
        """Convert it all, and write the manifest and the extras."""
        try:
            with opened(self._source) as container:
                self._convert(container, on_seconds)
        except av.FFmpegError as error:
            raise MediaError(f"{self._source.name} is damaged: {error.strerror}") from error
        self._publish()
        make(self._folder.path, None)

    def _convert(self, container: Any, on_seconds: OnSeconds) -> None:
        video, audio = tracks(container)
        assert video is not None  # the plan saw one
        video.codec_context.thread_count = 2
        self._size = (video.codec_context.width, video.codec_context.height)
        film = pictures.Coded(self._opened_film, self._coded_picture)
        hear = self._listener(audio)
        if self._plan.copy_video:
            self._video = self._track(VIDEO, video, pictures.RATE)
        start, broken = self._plan.start, True
        for packet in container.demux([s for s in (video, audio) if s is not None]):
            at = packet.pts if packet.pts is not None else packet.dts
            if at is None or not packet.size:
                continue
            seconds = max(0.0, float(at * packet.time_base) - start)
            if packet.stream_index != video.index:
                hear.push(packet, seconds)
            elif self._plan.copy_video:
                broken = broken and not packet.is_keyframe
                if not broken:
                    self._copy(packet)
            else:
                film.push(packet, start)
            on_seconds(seconds)
        if not self._plan.copy_video:
            film.finish()
            self._size = film.size
            self._show(None)
        if self._video is None or not self._video.packets:
            raise MediaError(f"{self._source.name} has no pictures that can be decoded")
        self._video.finish()
        hear.finish(self._video.seconds)
        if self._audio is not None:
            self._audio.finish()

    def _listener(self, audio: Any) -> sound.Passed | sound.Coded:
        """What takes the sound; silent when there is none."""
        kind = sound.Passed if self._plan.copy_audio or audio is None else sound.Coded
        if audio is not None:
            with codecs.template("opus", b"") as source:
                self._audio = self._track(AUDIO, source.streams[0], sound.RATE)
        return kind(self._heard)

    def _heard(self, data: bytes, start: int, length: int) -> None:
        if self._audio is not None:
            self._audio.add(data, start, start, length, keyframe=True)

    def _copy(self, packet: Any) -> None:
        assert self._video is not None
        rate = Fraction(pictures.RATE) * packet.time_base
        zero = round(self._plan.start * pictures.RATE)
        dts = packet.dts if packet.dts is not None else packet.pts
        pts = packet.pts if packet.pts is not None else dts
        duration = max(1, round((packet.duration or 0) * rate))
        at = round(pts * rate) - zero, round(dts * rate) - zero
        self._video.add(bytes(packet), *at, duration, packet.is_keyframe)

    def _opened_film(self, keyframe: bytes) -> None:
        with codecs.template("H264", keyframe) as source:
            self._video = self._track(VIDEO, source.streams[0], pictures.RATE)

    def _coded_picture(self, data: bytes, at: int, keyframe: bool) -> None:
        """One is held back: it lasts until the next."""
        self._show(at)
        self._held = data, at, keyframe

    def _show(self, until: int | None) -> None:
        if self._held is not None and self._video is not None:
            data, at, keyframe = self._held
            length = pictures.RATE // 30 if until is None else until - at
            self._video.add(data, at, at, length, keyframe)

    def _track(self, name: str, template: Any, rate: int) -> Track:
        return Track(name, self._folder, self._entry.started_at, template, rate)

    def _publish(self) -> None:
        assert self._video is not None
        width, height = self._size
        heard = self._audio.stream() if self._audio is not None else None
        master = playlist.master(self._video.stream(width, height), heard)
        self._folder.replace(f"{VIDEO}.m3u8", master.encode())
        if heard is not None:
            self._folder.replace(f"{AUDIO}.m3u8", playlist.master(None, heard).encode())
        poster = self._poster()
        if poster is not None:
            self._folder.replace(POSTER, poster)
        entry = replace(
            self._entry,
            state="complete",
            duration_s=round(self._video.seconds, 3),
            bytes=self._folder.bytes,
            poster=POSTER if poster is not None else None,
            views=(View(VIDEO, self._plan.codec, width, height, hls=f"{VIDEO}.m3u8"),),
            audio=Audio("opus", f"{AUDIO}.m3u8") if heard is not None else None,
        )
        imported = {"kind": "import", "file": self._source.name, "notes": list(self._plan.notes)}
        counts = {"frames": self._video.packets, "imported": 1}
        self._folder.write_manifest(Manifest(entry, tracks=[imported], counts=counts))

    def _poster(self) -> bytes | None:
        """Of the middle, or of what is nearest to it and not dark."""
        media = reading.media_playlist(self._folder.media / VIDEO / "index.m3u8")
        pieces = media.pieces
        middle = bisect.bisect_left([piece.start for piece in pieces], media.duration / 2)
        nearest = sorted(range(len(pieces)), key=lambda number: abs(number - middle))
        for number in nearest[:8]:
            with suppress(av.FFmpegError):
                picture = reading.first_picture(pieces[number])
                if picture is not None and (jpeg := poster_of(picture)):
                    return jpeg
        return None


def entry_for(lesson_id: str, title: str, started_at: float) -> Entry:
    """The entry of an imported lesson. Raises ArchiveError when the id is none."""
    entry = entry_from_id(lesson_id)
    return replace(entry, title=title or entry.title, started_at=started_at)
