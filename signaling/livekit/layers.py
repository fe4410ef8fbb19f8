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
    if wish.stream < len(rids) and _are_known(rids):
        return replace(wish, stream=rids.index(_RIDS[wish.stream]))
    return wish


def taken(streams: Sequence[int], rids: Sequence[str]) -> list[rtc.SubscribedQuality]:
    """Which qualities are to be sent where these streams (places in the order of the offer) are
    taken, in the words of dynacast: the best of them and all that are smaller, for who falls back
    on one must find it."""
    count = max(1, len(rids))
    names = _QUALITIES[:count] if count > 1 else _QUALITIES[-1:]
    places = [_RIDS.index(rids[s]) if _are_known(rids) else s for s in streams if s < count]
    most = max(places, default=-1)
    return [
        rtc.SubscribedQuality(quality=name, enabled=place <= most)
        for place, name in enumerate(names)
    ]


def _are_known(rids: Sequence[str]) -> bool:
    """Whether these are what LiveKit's clients call so many streams."""
    return 0 < len(rids) <= len(_RIDS) and set(rids) == set(_RIDS[: len(rids)])


def _by_size(settings: rtc.UpdateTrackSettings, layers: Sequence[models.VideoLayer]) -> int | None:
    """The smallest layer that fills the client's window; None where sizes are not known."""
    if not settings.width or not settings.height or not layers:
        return None
    sizes = sorted(layer.width * layer.height for layer in layers)
    wanted = settings.width * settings.height
    return next((index for index, size in enumerate(sizes) if size >= wanted), ALL)
