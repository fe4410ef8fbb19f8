"""What a lesson becomes: its sound, its views, their playlists and the poster.

Placed frames in, files in the lesson's folder out. One rendition of all sound, mixed where more
than one is heard; a view for each place of `publishers.py`, and one more for each further codec
that came to it, because players do not change decoders in the middle of a stream.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from recorder.archive.layout import POSTER, LessonFolder, View
from recorder.pipeline import playlist
from recorder.pipeline.codecs import FRAGMENTED_MP4
from recorder.pipeline.gaps import Attendance, Gaps
from recorder.pipeline.mix import Mixer
from recorder.pipeline.pictures import Poster
from recorder.pipeline.rendition import AudioRendition, VideoRendition
from recorder.pipeline.webm import WebmView
from sfu._media import Timeline

if TYPE_CHECKING:
    from sfu._media import Frame

AUDIO = "audio"
"""The name of the audio rendition; no view may have it."""

_PROMPT_US = 1_000_000  # who cannot send now will not send something from longer ago

VideoView = VideoRendition | WebmView


class Outputs:
    """The renditions of one lesson. Raises MediaError, OSError.

    `push_*` what the timeline has placed, `advance` with its clock, `publish` now and then, and
    `finish` once; `zero_us` must be known before the first frame.
    """

    def __init__(self, folder: LessonFolder) -> None:
        self.zero_us = 0
        self.audio: AudioRendition | None = None
        self.views: dict[str, VideoView] = {}
        self.mixer = Mixer()
        self.poster: str | None = None
        self._folder = folder
        self._posters: dict[str, Poster] = {}
        self._attendance: dict[str, Attendance] = {}
        self._places: dict[str, str] = {}
        self._masters: dict[str, str] = {}
        self._end_us = 0

    def attendance(self, place: str) -> Attendance:
        """Who is there to send to this place ("audio", or a view's)."""
        return self._attendance.setdefault(place, Attendance())

    def view(self, place: str, codec: str) -> VideoView:
        """The view of a place in this codec, made if there is none."""
        main = self.views.get(place)
        name = place if main is None or main.codec == codec else f"{place}-{codec.lower()}"
        view = self.views.get(name)
        if view is None:
            view = self._open_view(name, codec)
            view.gaps = Gaps(name, self.attendance(place))
            self._places[name] = place
        return view

    def push_sound(self, time_us: int, frame: "Frame", track: int) -> None:
        """A packet of any microphone."""
        if self.mixer.passes(time_us, frame, track):
            (self.audio or self._sound()).push(time_us, frame, track)
        else:
            self.mixer.push(time_us, frame, track)
            self._hear()

    def push_picture(self, view: VideoView, time_us: int, frame: "Frame", track: int) -> None:
        """A frame of the track that is at the view's place."""
        if frame.keyframe:
            self._offer_poster(view.name, time_us, frame.data)
        view.push(time_us, frame, track)

    def bind(self, timeline: Timeline, track: int, view: VideoView | None) -> bool:
        """Have frames of this track that simply follow the last one go to its rendition at once,
        until it is released; False where each of them must be looked at. `view` of a picture."""
        if view is None and self.audio is not None and self.mixer.is_lone(track):
            passed = self.mixer.unnoted.append
            timeline.bind(track, self.audio.samples, self.audio.segments, passed)
        elif isinstance(view, VideoRendition):
            timeline.bind(track, view.samples, view.segments)
        else:
            return False
        return True

    def change_over(self, place: str, view: VideoView) -> None:
        """A place goes on in this view; others of the same place stand still."""
        for name, other in self.views.items():
            if other is not view and self._places[name] == place:
                other.gaps.go_elsewhere()

    def listen(self, now_us: int) -> None:
        """The journal's clock, as lesson time: who does not send is not waited for longer."""
        self.mixer.advance(now_us)
        self._hear()

    def advance(self, horizon_us: int, now_us: int) -> None:
        """Nothing from before the horizon comes any more: fill what stays silent, so that the
        live playlists grow together."""
        if AUDIO in self._attendance:
            self._sound().advance(self._horizon(AUDIO, horizon_us, now_us))
        for name, view in self.views.items():
            view.advance(self._horizon(self._places[name], horizon_us, now_us))

    def finish(self) -> None:
        """The end of the lesson is where the last of it ends."""
        self.mixer.finish()
        self._hear()
        end_us = self._end_us = self.end_us
        if self.audio is not None:
            self.audio.finish(end_us)
        for view in self.views.values():
            view.finish(end_us)
        for output in self.all():
            output.gaps.close(end_us)
        self.publish()

    def close(self) -> None:
        """Let go of open files, for when this is dropped before its end."""
        for output in self.all():
            output.close()

    def all(self) -> Iterator[AudioRendition | VideoView]:
        """The sound, if any, and the views."""
        if self.audio is not None:
            yield self.audio
        yield from self.views.values()

    def describe(self) -> tuple[View, ...]:
        """What the catalogue says of the views."""
        return tuple(view.describe() for view in self.views.values() if view.frames)

    @property
    def end_us(self) -> int:
        """Up to where there is anything; a view that is closed tells no more."""
        return max((output.end_us for output in self.all()), default=0) or self._end_us

    def publish(self) -> None:
        """Bring the playlists up to date: media first, then the masters that name them."""
        if self.audio is not None:
            self.audio.publish_playlist()
        audio = self.audio.stream if self.audio else None
        if audio is not None:
            self._publish_master(AUDIO, playlist.master(None, audio))
        for view in self.views.values():
            view.publish_playlist()
            if view.stream is not None:
                self._publish_master(view.name, playlist.master(view.stream, audio))

    def publish_poster(self, choose: Callable[[Poster], bytes | None] = Poster.best) -> None:
        """The camera's when it has one, else another view's."""
        for name in sorted(self._posters, key=lambda name: (name != "camera", name)):
            picture = choose(self._posters[name])
            if picture:
                self._folder.replace(POSTER, picture)
                self.poster = POSTER
                return

    def _hear(self) -> None:
        for sound in self.mixer.poll():
            self._sound().push(sound.time_us, cast("Frame", sound), sound.track)

    def _horizon(self, place: str, horizon_us: int, now_us: int) -> int:
        silent = self._attendance[place].state is not None
        return max(horizon_us, now_us - _PROMPT_US) if silent else horizon_us

    def _sound(self) -> AudioRendition:
        if self.audio is None:
            self.audio = AudioRendition(AUDIO, self._folder, self._zero)
            self.audio.gaps = Gaps(AUDIO, self.attendance(AUDIO))
        return self.audio

    def _open_view(self, name: str, codec: str) -> VideoView:
        view: VideoView
        if codec in FRAGMENTED_MP4:
            view = VideoRendition(name, codec, self._folder, self._zero)
        else:  # it has the sound in it, if any is promised
            view = WebmView(
                name, self._folder, self._sound() if AUDIO in self._attendance else None
            )
        self.views[name] = view
        self._posters[name] = Poster(codec)
        return view

    def _offer_poster(self, name: str, time_us: int, keyframe: bytes) -> None:
        """Keep the keyframe in mind for the poster; the first that will do is shown at once."""
        if self._posters[name].offer(time_us, keyframe) and self.poster is None:
            self.publish_poster(Poster.newest)

    def _publish_master(self, name: str, text: str) -> None:
        if self._masters.get(name) != text:
            self._folder.replace(f"{name}.m3u8", text.encode())
            self._masters[name] = text

    @property
    def _zero(self) -> float:
        return self.zero_us / 1e6
