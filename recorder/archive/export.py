"""Takes a lesson out of the archive: as a folder, a tar file, or one film, nothing transcoded."""

import heapq
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from recorder.archive import reading
from recorder.archive.layout import Manifest, View, read_manifest
from recorder.errors import ArchiveError, MediaError

FILMS = {".mp4": {"H264", "VP9", "AV1"}, ".webm": {"VP8", "VP9", "AV1"}}
"""The containers of films, and the video codecs that players take from each."""

OnSeconds = Callable[[float], None]
"""Told how far it has come, in lesson seconds (a film) or files (a folder, a tar)."""

if TYPE_CHECKING:
    _Packet = av.Packet[Any]

_PRIVATE = {"upload.json", ".extras-tries", "lock"}


def as_folder(lesson: Path, target: Path, on_file: Callable[[str], None]) -> None:
    """Copy a lesson to a folder that is not there yet. Raises OSError, ArchiveError."""
    if target.exists():
        raise ArchiveError(f"{target} is there already: name a folder that is not")
    for path in _files(lesson):
        name = path.relative_to(lesson)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / name)
        on_file(name.as_posix())


def as_tar(lesson: Path, target: Path, on_file: Callable[[str], None]) -> None:
    """Put a lesson into a tar file. Raises OSError."""
    with _whole(target) as temporary, tarfile.open(temporary, "w") as tar:
        for path in _files(lesson):
            name = path.relative_to(lesson.parent)
            tar.add(path, name.as_posix(), recursive=False)
            on_file(name.as_posix())


def as_film(lesson: Path, target: Path, view: str | None, on_seconds: OnSeconds) -> View:
    """Make one file of a view and the sound; returns the view that it shows.

    Raises ArchiveError when there is no such view or its codec does not go into that container,
    MediaError, OSError.
    """
    manifest = read_manifest(lesson)
    chosen = _chosen(manifest, view)
    kinds = FILMS[target.suffix.lower()]
    if chosen.codec not in kinds:
        other = next(suffix for suffix, codecs in FILMS.items() if chosen.codec in codecs)
        raise ArchiveError(
            f"the view {chosen.source} is {chosen.codec}, which does not go into "
            f"{target.suffix[1:].upper()}: name a file that ends with {other}"
        )
    media = lesson / "media"
    try:
        with _whole(target) as temporary:
            if chosen.webm is not None:
                shutil.copyfile(media / chosen.webm, temporary)
            else:
                _mux(media, manifest, chosen, temporary, target.suffix.lower(), on_seconds)
    except av.FFmpegError as error:
        raise MediaError(f"the film cannot be made: {error.strerror}") from error
    return chosen


def _chosen(manifest: Manifest, name: str | None) -> View:
    views = [view for view in manifest.entry.views if view.hls or view.webm]
    for view in views:
        if name in (None, view.source) and (name or view.source == "camera"):
            return view
    if name is None and views:
        return views[0]
    names = ", ".join(view.source for view in views) or "none"
    raise ArchiveError(f"{manifest.entry.id} has no such view; it has: {names}")


def _mux(
    media: Path, manifest: Manifest, view: View, target: Path, suffix: str, on: OnSeconds
) -> None:
    options = {"movflags": "+faststart"} if suffix == ".mp4" else {}
    with ExitStack() as stack:
        out = stack.enter_context(av.open(str(target), "w", format=suffix[1:], options=options))
        out.metadata["title"] = manifest.entry.title
        paths = [media / view.source / "index.m3u8"]
        if manifest.entry.audio is not None:
            paths.append(media / "audio" / "index.m3u8")
        tracks = [_Track(reading.media_playlist(path), out) for path in paths]
        for packet in heapq.merge(*(track.packets() for track in tracks), key=_when):
            out.mux(packet)
            on(_when(packet))


class _Track:
    """One track of the film: the runs of a playlist in a row."""

    def __init__(self, media: reading.Media, out: OutputContainer) -> None:
        self._runs = list(media.runs())
        if not self._runs:
            raise ArchiveError("a playlist of the lesson is empty")
        with reading.open_run(self._runs[0]) as first:
            self._stream: Stream = out.add_stream_from_template(first.streams[0], opaque=True)

    def packets(self) -> "Iterator[_Packet]":
        for number, run in enumerate(self._runs):
            with reading.open_run(run) as container:
                prefix = _parameter_sets(container) if number else b""
                for packet in container.demux(container.streams[0]):
                    if packet.pts is not None and packet.size:
                        yield self._placed(packet, prefix)

    def _placed(self, packet: "_Packet", prefix: bytes) -> "_Packet":
        """The packet for our stream; where parameters have changed its keyframes carry them."""
        if prefix and packet.is_keyframe:
            whole = av.Packet(prefix + bytes(packet))
            whole.pts, whole.dts, whole.duration = packet.pts, packet.dts, packet.duration
            whole.time_base, whole.is_keyframe = packet.time_base, True
            packet = whole
        packet.stream = self._stream
        return packet


def _parameter_sets(container: InputContainer) -> bytes:
    """SPS and PPS as length-prefixed NAL units, from `avcC` (ISO/IEC 14496-15, 5.3.3.1)."""
    context = container.streams[0].codec_context
    box = context.extradata or b""
    if context.name != "h264" or len(box) < 7 or box[0] != 1:
        return b""
    at, units = 5, b""
    for mask in (31, 255):
        count = box[at] & mask
        at += 1
        for _ in range(count):
            length = int.from_bytes(box[at : at + 2], "big")
            units += length.to_bytes(4, "big") + box[at + 2 : at + 2 + length]
            at += 2 + length
    return units


def _when(packet: "_Packet") -> float:
    at = packet.dts if packet.dts is not None else packet.pts
    return float((at or 0) * (packet.time_base or 0))


def _files(lesson: Path) -> list[Path]:
    """What is exported of a lesson: all but what concerns this machine."""
    return sorted(
        path
        for path in lesson.rglob("*")
        if path.is_file() and path.name not in _PRIVATE and not path.name.startswith(".")
    )


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A file that appears under its name only when all went well."""
    temporary = target.with_name(f".{target.name}.part")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
