"""What can go wrong in the media plane, as one tree.

SfuError
├── NegotiationError    the peer's offer is unusable (the peer's fault)
│   └── OfferTooLarge   ... because of its size alone
└── EngineError         we misused the engine, or it cannot start (ours, or the operator's)
"""


class SfuError(Exception):
    """Root of everything this package raises on purpose."""


class NegotiationError(SfuError):
    """The peer's session description cannot be answered.

    `reason` is one sentence, fit to be shown to whoever sent the offer.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OfferTooLarge(NegotiationError):  # noqa: N818  (reads as what happened, like RequestTimeout)
    """The session description is larger than we are willing to parse."""


class EngineError(SfuError):
    """The native engine refused: a port is taken, a folder cannot be written, a bad call."""
