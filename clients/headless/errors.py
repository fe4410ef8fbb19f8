"""What can go wrong for a headless client, each told in one sentence.

HeadlessError            (a click error: one line on stderr, exit code 2)
|- MediaFileError        the file cannot be opened, or holds what WebRTC cannot carry as it is
|- EndpointError         the node said no; `status` is the HTTP status, None when it is silent
|- SourceError           a camera or recording box cannot be pulled, or what it sends not be used
|- ConnectionLost        the media path did not come up, or broke off
`- NodeError             a node that we started ourselves did not come up
"""

from click import ClickException


class HeadlessError(ClickException):
    """The root: something the user can act on. Its message is one sentence."""

    exit_code = 2


class MediaFileError(HeadlessError):
    """The media file is missing, unreadable, or of a codec that cannot be sent as it is."""


class EndpointError(HeadlessError):
    """The node refused, or nobody listens at that address."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class SourceError(HeadlessError):
    """A source to be pulled is not there, is silent, or sends what makes no sense.

    The message never names the URL, which may hold a password.
    """


class ConnectionLost(HeadlessError):  # noqa: N818 - named for what happened, as asyncio does
    """The media connection did not come up, or broke off."""


class NodeError(HeadlessError):
    """A node that we started did not become ready."""
