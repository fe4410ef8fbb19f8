"""Which layers of a track a client wants, from what it says of its window. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from livekit.protocol import models, rtc

from signaling.delivery import ALL, Cap

_QUALITIES = (models.LOW, models.MEDIUM, models.HIGH)
_BY_QUALITY = {models.LOW: 0, models.MEDIUM: 1}
_RIDS = ("q", "h", "f")
"""A quarter, a half, the full picture: what clients call their simulcast streams."""


def cap(settings: rtc.UpdateTrackSettings, info: models.TrackInfo, streams: int) -> Cap:
    """What `track_setting` asks of a track that is sent in this many simulcast streams."""
    if settings.disabled or settings.quality == models.OFF:
        return Cap(paused=True)
    place = _by_size(settings, info.layers)
    if place is None:
        place = _BY_QUALITY.get(settings.quality, ALL)
    temporal = 0 if 0 < settings.fps <= 10 else ALL
    if streams > 1:
        return Cap(stream=min(place, streams - 1), temporal=temporal)
    return Cap(spatial=place, temporal=temporal)


def offered(wish: Cap, rids: Sequence[str]) -> Cap:
    """The same cap, its stream counted in the order of the publisher's offer: some SDKs offer the
    largest picture first."""
    if wish.stream < len(rids) <= len(_RIDS) and set(rids) == set(_RIDS[: len(rids)]):
        return replace(wish, stream=rids.index(_RIDS[wish.stream]))
    return wish


def taken(most: int, count: int) -> list[rtc.SubscribedQuality]:
    """Which of `count` simulcast streams may be wanted, up to `most`, in the words of dynacast."""
    names = _QUALITIES[:count] if count > 1 else _QUALITIES[-1:]
    return [
        rtc.SubscribedQuality(quality=name, enabled=index <= most)
        for index, name in enumerate(names)
    ]


def _by_size(settings: rtc.UpdateTrackSettings, layers: Sequence[models.VideoLayer]) -> int | None:
    """The smallest layer that fills the client's window; None where sizes are not known."""
    if not settings.width or not settings.height or not layers:
        return None
    sizes = sorted(layer.width * layer.height for layer in layers)
    wanted = settings.width * settings.height
    return next((index for index, size in enumerate(sizes) if size >= wanted), ALL)
