"""Lessons in S3-compatible storage: put, checked, read and deleted.

A lesson's files lie under `<prefix>/lessons/<lesson id>/` as they do on disk, `manifest.json` put
last. What was put is believed only when the storage's own listing shows it with the size and the
ETag that our bytes must have; where a storage makes ETags otherwise (encryption with a key service
does), the bytes are read back and hashed.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from recorder.archive.policy import Policy
from recorder.errors import StorageError

if TYPE_CHECKING:
    from obstore import Bytes

PART = 8 << 20
"""Bytes of a part of a multipart upload; smaller files go in one request."""

_CHUNK = 1 << 20
_READ = 4 << 20
_TRIES = 3  # of one request, by obstore itself; whole uploads are tried again for days
_REQUEST_SECONDS = 600  # a part over a line of 120 kbit/s


@dataclass(frozen=True, slots=True)
class Local:
    """A file as it is here: its size, its SHA-256, and the ETag that S3 gives to such bytes."""

    size: int
    sha256: str
    etag: str


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as the storage tells of it."""

    size: int
    etag: str


class Storage:
    """A bucket, or a part of one. All methods raise StorageError."""

    def __init__(self, url: str, endpoint: str = "", *, retries: int = _TRIES) -> None:
        """`url` is s3://bucket/prefix; `endpoint` the URL of a server that is not Amazon's.

        Credentials are those of the environment. Nothing is sent yet.
        """
        self.url = url.rstrip("/")
        scheme, _, rest = self.url.partition("://")
        bucket, _, prefix = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise StorageError(f"{url} is not a storage: it must be s3://bucket/prefix")
        options = {"endpoint": endpoint} if endpoint else {}
        with _storage_errors():
            self._store = S3Store(
                bucket,
                prefix=prefix or None,
                config=options,  # type: ignore[arg-type]
                client_options={
                    "allow_http": endpoint.startswith("http://"),
                    "timeout": timedelta(seconds=_REQUEST_SECONDS),
                    "connect_timeout": timedelta(seconds=10),
                },
                retry_config={
                    "max_retries": retries,
                    "retry_timeout": timedelta(seconds=_REQUEST_SECONDS),
                    "backoff": {
                        "init_backoff": timedelta(milliseconds=200),
                        "max_backoff": timedelta(seconds=5),
                        "base": 2,
                    },
                },
            )

    @classmethod
    def of(cls, policy: Policy) -> "Storage | None":
        """The one that the operator wants, if any."""
        return cls(policy.storage, policy.endpoint) if policy.storage else None

    def put(self, lesson: str, name: str, path: Path) -> None:
        """Store a file of a lesson, in parts when it is large. Raises OSError for the file's."""
        size = path.stat().st_size
        with _storage_errors():
            obstore.put(
                self._store,
                _key(lesson, name),
                path,
                use_multipart=size > PART,
                chunk_size=PART,
                max_concurrency=2,
            )

    def listing(self, lesson: str) -> dict[str, Stored]:
        """All objects of a lesson, by the name of its file."""
        prefix = _key(lesson, "")
        with _storage_errors():
            return {
                meta["path"].removeprefix(prefix): Stored(
                    meta["size"], (meta["e_tag"] or "").strip('"')
                )
                for batch in obstore.list(self._store, prefix)
                for meta in batch
            }

    def lessons(self) -> list[str]:
        """The ids of all lessons that have a manifest in the storage."""
        with _storage_errors():
            found = obstore.list_with_delimiter(self._store, "lessons/")
            ids = [prefix.rstrip("/").rpartition("/")[2] for prefix in found["common_prefixes"]]
        return [lesson for lesson in ids if self.has(lesson, "manifest.json")]

    def has(self, lesson: str, name: str) -> bool:
        """Whether there is such an object."""
        with _storage_errors(may_miss=True):
            try:
                obstore.head(self._store, _key(lesson, name))
            except FileNotFoundError:
                return False
            return True

    def digest(self, lesson: str, name: str) -> str:
        """Read an object back: its SHA-256 in hex."""
        sha256 = hashlib.sha256()
        for data in self.read(lesson, name):
            sha256.update(data)
        return sha256.hexdigest()

    def read(self, lesson: str, name: str) -> Iterator[bytes]:
        """An object's bytes. Raises FileNotFoundError where there is none."""
        with _storage_errors(may_miss=True):
            got = obstore.get(self._store, _key(lesson, name))
            yield from (bytes(data) for data in got.stream(min_chunk_size=_READ))

    def open_range(self, lesson: str, name: str, start: int, end: int) -> "Bytes":
        """Bytes `start` to before `end` of an object. Raises FileNotFoundError."""
        with _storage_errors(may_miss=True):
            return obstore.get_range(self._store, _key(lesson, name), start=start, end=end)

    def size(self, lesson: str, name: str) -> int:
        """An object's size. Raises FileNotFoundError."""
        with _storage_errors(may_miss=True):
            return obstore.head(self._store, _key(lesson, name))["size"]

    def url_of(self, lesson: str, name: str, seconds: float) -> str:
        """A URL by which anyone can read an object for so long."""
        with _storage_errors():
            key = _key(lesson, name)
            return obstore.sign(self._store, "GET", key, timedelta(seconds=seconds))

    def delete(self, lesson: str, names: Sequence[str]) -> None:
        """Delete objects of a lesson; one that is not there is no error."""
        with _storage_errors():
            if names:
                obstore.delete(self._store, [_key(lesson, name) for name in names])


def local(path: Path) -> Local:
    """Read a file once, for all its checksums. Raises OSError."""
    sha256 = hashlib.sha256()
    parts: list[bytes] = []
    size = 0
    with path.open("rb") as file:
        while True:
            md5, length = hashlib.md5(usedforsecurity=False), 0
            while length < PART and (data := file.read(min(_CHUNK, PART - length))):
                sha256.update(data)
                md5.update(data)
                length += len(data)
            if length or not parts:
                parts.append(md5.digest())
            size += length
            if length < PART:
                return Local(size, sha256.hexdigest(), _etag(parts, size))


def _etag(parts: list[bytes], size: int) -> str:
    """S3's ETag: the MD5, or of what came in parts the MD5 of their MD5s, and their number."""
    if size <= PART:
        return parts[0].hex()
    whole = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return f"{whole}-{len(parts)}"


def _key(lesson: str, name: str) -> str:
    return f"lessons/{lesson}/{name}"


@contextmanager
def _storage_errors(*, may_miss: bool = False) -> Iterator[None]:
    """Everything the storage or the way to it does wrong, as one error of ours; an object that is
    not there stays a FileNotFoundError where that `may_miss`."""
    try:
        yield
    except (BaseError, ValueError, OSError) as error:
        if may_miss and isinstance(error, FileNotFoundError):
            raise
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StorageError(f"the storage says: {first[:300]}") from error
