"""A VP8 view: one WebM with the lesson's audio, written as the lesson goes, published at its end.

No browser plays VP8 from MP4, and HLS carries no WebM. While the lesson lasts the file has no
index, so it stays out of sight; a crash costs nothing, as the journal is replayed from its start.
"""

import contextlib
from typing import TYPE_CHECKING

from recorder.archive.layout import LessonFolder, View
from recorder.errors import MediaError
from recorder.pipeline import codecs
from recorder.pipeline.gaps import Gaps
from recorder.pipeline.mux import WebmWriter
from recorder.pipeline.rendition import AudioRendition

if TYPE_CHECKING:
    from sfu._media import Frame


class WebmView:
    """Frames of one VP8 source in, a WebM out. Raises MediaError, OSError."""

    codec = "VP8"

    def __init__(self, name: str, folder: LessonFolder, audio: AudioRendition | None) -> None:
        self.name = name
        self.file: str | None = None
        """Its name in the media folder, once it is published."""
        self.gaps = Gaps(name)
        self.frames = 0
        self.dropped = 0
        self.width = self.height = 0
        self.end_us = 0
        self._folder = folder
        self._audio = audio
        self._writer: WebmWriter | None = None
        self._broken = True
        self._lossy = False

    def push(self, time_us: int, frame: "Frame", track: int) -> None:
        """Add a frame of the source."""
        data, keyframe, loss = frame.data, frame.keyframe, frame.after_loss
        self._lossy |= loss
        if keyframe:
            self._broken = not self._begin(data)
        elif loss:
            self._broken = True
        if self._broken or self._writer is None:
            self.dropped += 1
            return
        self.gaps.note(time_us, time_us, track, loss=self._lossy)
        self._lossy = False
        self.frames += 1
        self.end_us = max(self.end_us, time_us)
        self._writer.mux_video(data, max(time_us, 0), keyframe)

    def describe(self) -> View:
        """What the catalogue says of this view."""
        return View(self.name, self.codec, self.width, self.height, webm=self.file)

    @property
    def stream(self) -> None:
        """It has no part in HLS."""
        return

    def publish_playlist(self) -> None:
        """It has none."""

    def advance(self, horizon_us: int) -> None:
        """Nothing to fill: in a WebM the last picture stays by itself."""

    def finish(self, end_us: int) -> None:
        """Write the cues and publish. The audio must be finished before."""
        if self._writer is not None:
            self._writer.close()
            name = f"{self.name}.webm"
            self._folder.adopt(self._folder.temporary(name), name)
            self.file = name

    def close(self) -> None:
        """Let go of the file, for when it is not to be published."""
        if self._writer is not None:
            with contextlib.suppress(OSError, MediaError):
                self._writer.close()

    def _begin(self, keyframe: bytes) -> bool:
        """Be ready for a keyframe; False when it cannot be used."""
        try:
            tag = codecs.parameters(self.codec, keyframe).tag
            if self._writer is None:
                self._open(keyframe)
        except MediaError:
            return False
        if not self.width:
            self.width = int.from_bytes(tag[0:2], "little") & 0x3FFF
            self.height = int.from_bytes(tag[2:4], "little") & 0x3FFF
        return True

    def _open(self, keyframe: bytes) -> None:
        path = self._folder.temporary(f"{self.name}.webm")
        self._writer = WebmWriter(path, self.codec, keyframe, audio=self._audio is not None)
        if self._audio is not None:
            self._audio.listen(self._hear)

    def _hear(self, data: bytes, start: int, duration: int) -> None:
        if self._writer is not None:
            self._writer.mux_audio(data, start * 125 // 6, duration * 125 // 6)
