"""Which quality a WHEP viewer wants: the layer extension of WHEP.

`urn:ietf:params:whep:ext:core:layer` (draft-murillo-whep-02), in its smallest useful form:

    GET  /{lesson}/whep/{session}/layers   what each video can be had in, by mid
    POST the same                          {"mediaId": "1", "encodingId": "q"}

A choice is the most that a viewer wants: when its line does not carry that, it gets less. Without
an `encodingId` (or layer ids) it has the best again; without a `mediaId` the first video is meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from signaling.classroom import Classroom
from signaling.delivery import ALL, Cap
from signaling.events import Publication
from signaling.session import Session

RELATION = "urn:ietf:params:whep:ext:core:layer"
_SPATIAL = ("maxSpatialLayerId", "spatialLayerId")
_TEMPORAL = ("maxTemporalLayerId", "temporalLayerId")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a viewer wants of one video."""

    downtrack: int
    cap: Cap


def offered(classroom: Classroom, session: Session) -> dict[str, Any]:
    """What a viewer can choose from, by mid; bit rates in bits a second."""
    return {mid: _offered(classroom, watch.downtrack) for mid, watch in session.pictures.items()}


def _offered(classroom: Classroom, downtrack: int) -> dict[str, Any]:
    publication = classroom.lesson.fed(downtrack)
    if publication is None:
        return {"source": None, "layers": []}
    layers = [
        {
            "encodingId": _encoding(publication, layer.stream),
            "spatialLayerId": layer.spatial,
            "temporalLayerId": layer.temporal,
            "bitrate": layer.bits_per_second,
        }
        for layer in classroom.delivery.layers(publication.track.uptrack)
    ]
    return {"source": publication.track.source, "layers": layers}


def choose(classroom: Classroom, session: Session, wish: Mapping[str, Any]) -> Choice:
    """Read a viewer's wish. Raises HTTPBadRequest, HTTPNotFound."""
    mid = wish.get("mediaId")
    watch = session.pictures.get(next(iter(session.pictures), "") if mid is None else str(mid))
    if watch is None:
        raise web.HTTPNotFound(text="There is no such video in this session (mediaId).")
    stream = _stream(classroom.lesson.fed(watch.downtrack), wish.get("encodingId"))
    return Choice(watch.downtrack, Cap(False, stream, _id(wish, _SPATIAL), _id(wish, _TEMPORAL)))


def _stream(publication: Publication | None, encoding: object) -> int:
    if encoding is None:
        return ALL
    rids = publication.track.rids if publication is not None else ()
    for stream in range(max(len(rids), 1)):
        if publication is not None and _encoding(publication, stream) == encoding:
            return stream
    raise web.HTTPNotFound(text="This video is not sent in that quality (encodingId).")


def _encoding(publication: Publication, stream: int) -> str:
    """The RID of a simulcast stream; "0" of a track that is sent in one."""
    rids = publication.track.rids
    return rids[stream] if stream < len(rids) else str(stream)


def _id(wish: Mapping[str, Any], names: tuple[str, ...]) -> int:
    layer = next((wish[name] for name in names if wish.get(name) is not None), ALL)
    if not isinstance(layer, int) or isinstance(layer, bool) or not 0 <= layer <= ALL:
        raise web.HTTPBadRequest(text=f"{names[-1]} must be the number of a layer.")
    return layer
