"""Which layers of a track a client wants, from what it says of its window. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from livekit.protocol import models, rtc

ALL = 255
"""No limit, in the media plane's words."""
_BY_QUALITY = {models.LOW: 0, models.MEDIUM: 1}


@dataclass(frozen=True, slots=True)
class Wish:
    """The most that a client wants of one track."""

    paused: bool = False
    stream: int = ALL
    """Simulcast stream in the order of the publisher's offer; `ALL` for any."""
    spatial: int = ALL
    temporal: int = ALL


def wish(settings: rtc.UpdateTrackSettings, info: models.TrackInfo, streams: int) -> Wish:
    """What `track_setting` asks of a track that is sent in this many simulcast streams."""
    if settings.disabled or settings.quality == models.OFF:
        return Wish(paused=True)
    place = _by_size(settings, info.layers)
    if place is None:
        place = _BY_QUALITY.get(settings.quality, ALL)
    temporal = 0 if 0 < settings.fps <= 10 else ALL
    if streams > 1:
        return Wish(stream=min(place, streams - 1), temporal=temporal)
    return Wish(spatial=place, temporal=temporal)


def qualities(streams: Sequence[int], count: int, codec: str) -> rtc.SubscribedCodec:
    """Which simulcast streams of `count` anybody takes, in the words of `dynacast`."""
    names = [models.LOW, models.MEDIUM, models.HIGH][: max(1, count)]
    if count == 1:
        names = [models.HIGH]
    return rtc.SubscribedCodec(
        codec=codec.lower(),
        qualities=[
            rtc.SubscribedQuality(quality=name, enabled=index in streams)
            for index, name in enumerate(names)
        ],
    )


def _by_size(settings: rtc.UpdateTrackSettings, layers: Sequence[models.VideoLayer]) -> int | None:
    """The smallest layer that fills the client's window; None where sizes are not known."""
    if not settings.width or not settings.height or not layers:
        return None
    sizes = sorted(layer.width * layer.height for layer in layers)
    wanted = settings.width * settings.height
    return next((index for index, size in enumerate(sizes) if size >= wanted), ALL)
