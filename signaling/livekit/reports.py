"""From what happens in a room to the JSON of a webhook."""

from collections.abc import Callable
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from livekit.protocol import models

from signaling.classroom import Classroom
from signaling.livekit.presence import Tell
from signaling.webhooks import Webhooks


def reports(
    webhooks: Webhooks, room_of: Callable[[Classroom], models.Room]
) -> Callable[[Classroom], Tell]:
    """What makes, for each lesson, the one who tells the world outside of it."""

    def teller(classroom: Classroom) -> Tell:
        def tell(
            event: str,
            participant: models.ParticipantInfo | None,
            track: models.TrackInfo | None,
        ) -> None:
            if not webhooks.wanted:
                return
            what = {"room": _json(room_of(classroom))}
            if participant is not None:
                what["participant"] = _json(participant)
            if track is not None:
                what["track"] = _json(track)
            webhooks.send(event, what)

        return tell

    return teller


def _json(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message)
