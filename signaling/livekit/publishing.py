"""What one participant publishes: from `add_track` to a section of its offer. Pure.

A client announces a track under a name of its own (`cid`) and learns our sid at once; later a
section of its offer carries it. The section names it by the track id of its msid; clients that
replaced the track meanwhile, or make up ids, are helped by there being one candidate only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from livekit.protocol import models, rtc

from sfu.negotiation import Codec, Section, choose_audio, choose_video
from signaling.livekit.identifiers import from_source, new_sid, track_prefix

MAX_TRACKS = 32
"""Announced or published by one participant."""
MAX_TEXT = 256
"""Characters of a track's name, stream or cid."""

_CODECS = {"vp8": "VP8", "h264": "H264", "vp9": "VP9", "av1": "AV1", "opus": "opus", "red": "opus"}


@dataclass(slots=True)
class Published:
    """A track of the participant's, announced or flowing."""

    cids: frozenset[str]
    kind: str
    source: str
    codec: str
    """The one its publisher would like, by our name; "" for none."""
    info: models.TrackInfo
    mid: str = ""
    """The section that carries it; "" before there is one."""
    track_id: str = ""
    """As that section names it."""
    uptrack: int | None = None
    rids: tuple[str, ...] = ()
    """The simulcast streams in which it is sent, in the order of the offer."""
    resting: frozenset[int] = frozenset()
    """Qualities that its client was told that nobody takes."""

    @property
    def encrypted(self) -> bool:
        """Whether only its receivers can read it."""
        return self.info.encryption != models.Encryption.NONE


class Publishing:
    """One participant's tracks, in the order in which they were announced."""

    def __init__(self, video_codecs: Iterable[str]) -> None:
        self._video_codecs = tuple(video_codecs)
        self.tracks: list[Published] = []

    def announce(self, request: rtc.AddTrackRequest) -> Published | None:
        """A client will publish this; None where it has announced too much already."""
        known = next((t for t in self.tracks if request.cid in t.cids and not t.mid), None)
        if known is not None:
            return known
        if len(self.tracks) >= MAX_TRACKS or not 0 < len(request.cid) <= MAX_TEXT:
            return None
        track = _announced(request)
        self.tracks.append(track)
        return track

    def by_sid(self, sid: str) -> Published | None:
        """The track that we know by this name."""
        return next((track for track in self.tracks if track.info.sid == sid), None)

    def by_uptrack(self, uptrack: int) -> Published | None:
        """The track that the media plane knows by this name."""
        return next((track for track in self.tracks if track.uptrack == uptrack), None)

    def match(self, sections: Sequence[Section]) -> dict[str, Published]:
        """Which track each of the sections that send carries, by mid; it stays bound to it."""
        found = {track.mid: track for track in self.tracks if track.mid}
        for exactly in (True, False):  # names first: a guess must not take what another names
            for section in sections:
                if section.mid not in found and (track := self._candidate(section, exactly)):
                    track.mid, track.track_id = section.mid, section.track_id
                    track.info.mid = section.mid
                    found[section.mid] = track
        return found

    def ended(self, sending: Iterable[Section]) -> list[Published]:
        """Forget the tracks whose sections carry them no more; what they were."""
        now = {section.mid: section for section in sending}
        gone = [
            track
            for track in self.tracks
            if track.mid and (track.mid not in now or self._is_replaced(track, now[track.mid]))
        ]
        self.tracks = [track for track in self.tracks if track not in gone]
        return gone

    def forget(self, track: Published) -> None:
        """It is published no more."""
        if track in self.tracks:
            self.tracks.remove(track)

    def choose(self, track: Published, section: Section) -> Codec | None:
        """In which codec we take it: what its publisher would like, else what it names first."""
        if section.kind == "audio":
            return choose_audio(section)
        offered = [codec.name for codec in section.codecs]
        wanted = [name for name in (track.codec, *offered) if name in self._video_codecs]
        return choose_video(section, wanted)

    def _is_replaced(self, track: Published, section: Section) -> bool:
        """Whether a bound section carries another track now, announced under its very name."""
        if section.track_id == track.track_id:
            return False
        return any(t.mid == "" and section.track_id in t.cids for t in self.tracks)

    def _candidate(self, section: Section, exactly: bool) -> Published | None:
        free = [t for t in self.tracks if not t.mid and t.kind == section.kind]
        if exactly:
            return next((track for track in free if section.track_id in track.cids), None)
        return free[0] if len(free) == 1 else None


def _announced(request: rtc.AddTrackRequest) -> Published:
    kind = "audio" if request.type == models.AUDIO else "video"
    source = from_source(request.source, kind)
    codecs = request.simulcast_codecs
    codec = _CODECS.get(codecs[0].codec.lower().rpartition("/")[2], "") if codecs else ""
    info = models.TrackInfo(
        sid=new_sid(track_prefix(source, kind)),
        type=models.AUDIO if kind == "audio" else models.VIDEO,
        name=request.name[:MAX_TEXT],
        muted=request.muted,
        width=request.width,
        height=request.height,
        source=request.source,
        disable_dtx=request.disable_dtx,
        stereo=request.stereo,
        disable_red=request.disable_red,
        encryption=request.encryption,
        stream=request.stream[:MAX_TEXT] or ("screen" if source.startswith("slides") else "camera"),
        audio_features=request.audio_features[:16],
        packet_trailer_features=request.packet_trailer_features[:16],
        layers=request.layers[:8],
        simulcast=len(request.layers) > 1,
    )
    if codec:
        info.mime_type = mime_type(kind, codec)
    cids = {request.cid, *(simulcast.cid for simulcast in codecs[:4] if simulcast.cid)}
    return Published(frozenset(cids), kind, source, codec, info)


def mime_type(kind: str, codec: str) -> str:
    """A codec as LiveKit spells it: "video/VP8", "audio/opus"."""
    return f"{kind}/{codec}"
