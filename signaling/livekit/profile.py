"""What a participant says of itself: name, metadata, attributes."""

from livekit.protocol import rtc

from signaling.errors import LessonError, LimitExceeded, NotPermitted
from signaling.events import Describe
from signaling.livekit.rpc import House

_REASONS = (
    (NotPermitted, rtc.RequestResponse.NOT_ALLOWED),
    (LimitExceeded, rtc.RequestResponse.LIMIT_EXCEEDED),
)


def update_metadata(
    house: House, session: str, wish: rtc.UpdateParticipantMetadata
) -> rtc.RequestResponse:
    """Let a participant change what is said of it; what it is answered.

    An empty name or metadata changes nothing, an attribute with an empty value is removed: so do
    LiveKit's clients mean it.
    """
    response = rtc.RequestResponse(request_id=wish.request_id, update_metadata=wish)
    event = Describe(
        session,
        session,
        name=wish.name or None,
        metadata=wish.metadata or None,
        attributes=dict(wish.attributes),
    )
    try:
        house.handle(event)
    except LessonError as error:
        reasons = (reason for kind, reason in _REASONS if isinstance(error, kind))
        response.reason = next(reasons, rtc.RequestResponse.UNCLASSIFIED_ERROR)
        response.message = str(error)
    return response
