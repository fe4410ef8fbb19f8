"""The errors of this package, one tree.

    RecorderError
    ├── JournalError     the journal cannot be read at all: its lesson is degraded
    ├── MediaError       a frame cannot be muxed: its lesson is tried again, then degraded
    ├── ArchiveError     an archive on disk is not what its manifest says
    ├── DetailsError     a change to what is said of a lesson cannot be
    ├── StorageError     the S3 storage, or the way to it, does not do what it should: tried again
    └── CatalogueError   the catalogue cannot be opened, not even anew

A full or failing disk stays an `OSError`: it is the machine's trouble, not the lesson's, and is
waited out instead of counted against the lesson (see `recorder.worker`).
"""


class RecorderError(Exception):
    """Anything this package raises on purpose."""


class JournalError(RecorderError):
    """The journal cannot be read: missing, or not a journal."""


class MediaError(RecorderError):
    """A frame is not what its codec says, or the muxer refused it."""


class ArchiveError(RecorderError):
    """The archive folder contradicts its manifest, or the manifest is not one."""


class DetailsError(RecorderError):
    """A detail of a lesson cannot be what somebody wants it to be; one sentence."""


class CatalogueError(RecorderError):
    """The catalogue cannot be opened or made."""


class StorageError(RecorderError):
    """The storage cannot be reached, refuses us, or does not hold what was put."""
