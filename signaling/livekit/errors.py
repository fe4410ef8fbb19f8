"""What can go wrong between a client of LiveKit's and us, beside `signaling.errors`.

SignalingError
└── MalformedRequest    the client's URL or message is none of the protocol's
"""

from signaling.errors import SignalingError


class MalformedRequest(SignalingError):  # noqa: N818  (named for what is the case)
    """The client said something that the protocol does not know."""
