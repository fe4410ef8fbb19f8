"""What can go wrong around a lesson, as one tree. Every message is one sentence for a user.

SignalingError
├── ConfigError          the operator's configuration, or this machine, does not allow it
├── AuthError
│   ├── NotAuthenticated   no token, or one that proves nothing
│   └── NotAllowed         a good token that does not allow this
├── Crowded              too many join at once; try again in a moment
└── LessonError          the event is illegal in the lesson's state; nothing has changed
    ├── NotLive            nobody teaches here now; try again later
    ├── TeacherPresent     somebody teaches here already
    ├── LessonFull         no seat is left
    ├── NotPermitted       this member may not do this, at least not now
    ├── LimitExceeded      more of it than one member may have
    └── IllegalEvent       we misused the lesson (a bug, or a race that is lost)
"""


class SignalingError(Exception):
    """Root of everything this package raises on purpose."""


class ConfigError(SignalingError):
    """The node cannot start as configured."""


class AuthError(SignalingError):
    """The token does not open this door."""


class NotAuthenticated(AuthError):  # noqa: N818  (named for what is the case)
    """No token, or one that is malformed, expired, or not signed by a key of ours."""


class NotAllowed(AuthError):  # noqa: N818
    """The token is good, but not for this."""


class Crowded(SignalingError):  # noqa: N818
    """The queue of joins is full."""


class LessonError(SignalingError):
    """The lesson's rules do not allow the event."""


class NotLive(LessonError):  # noqa: N818
    """Nobody teaches in this lesson now."""


class TeacherPresent(LessonError):  # noqa: N818
    """The lesson has a teacher, and a lesson has only one."""


class LessonFull(LessonError):  # noqa: N818
    """The lesson has as many schools as it may."""


class NotPermitted(LessonError):  # noqa: N818
    """The member's role, its grants or the floor do not allow this."""


class LimitExceeded(LessonError):  # noqa: N818
    """One member asks for more than is good for the others."""


class IllegalEvent(LessonError):  # noqa: N818
    """This event makes no sense in this state."""
