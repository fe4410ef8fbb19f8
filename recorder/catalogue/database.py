"""The database under the catalogue: opened, brought up to date, and replaced when it is damaged.

SQLite, a file in the data folder, unless a URL names a PostgreSQL. Several processes use it at
once, and each of them may be the first: who changes the schema holds the database's own lock.
"""

import json
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DisconnectionError,
    NoSuchModuleError,
    OperationalError,
)

from recorder.errors import CatalogueError

FILE = "catalogue.sqlite"
HEAD = "0002"
"""The newest revision in `migrations/versions`; a database that has it is not looked at further."""

_LOCK_KEY = 0x746F6E67_6275  # "tongbu", for PostgreSQL's advisory locks
_POOL = {
    "pool_size": 4,
    "max_overflow": 12,
    "pool_timeout": 30,
    "pool_use_lifo": True,  # the one that was used last has what is needed in its cache
}
_STORE = "store.id"
_BEGIN = "tongbu_begin"

_log = logging.getLogger(__name__)


class Database:
    """Connections to the catalogue's database; `on_lost` is called when it had to begin anew."""

    def __init__(self, data_dir: Path, url: str, on_lost: Callable[[], None]) -> None:
        """Opens it, or begins a new one. Raises CatalogueError."""
        self._path = None if url else data_dir / FILE
        self._on_lost = on_lost
        self.engine = _sqlite(self._path) if self._path else _postgresql(url)
        self.store = _store_id(data_dir) if url else ""
        try:
            self._open()
        except (DatabaseError, OSError) as error:
            self.close()
            raise CatalogueError(f"{self._name} cannot be opened: {_reason(error)}") from error
        except CatalogueError:
            self.close()
            raise

    @property
    def is_sqlite(self) -> bool:
        """Which of the two it is."""
        return self._path is not None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of things. Raises DatabaseError."""
        with self._mended(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that waits for its turn to write. Raises DatabaseError."""
        with self._mended(), _to_write(self.engine).begin() as connection:
            if not self.is_sqlite:
                _lock(connection)
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def _open(self) -> None:
        try:
            migrate(self.engine)
        except DatabaseError as error:
            if self._path is None or isinstance(error, OperationalError):
                raise
            self._set_aside()
            migrate(self.engine)

    @contextmanager
    def _mended(self) -> Iterator[None]:
        """Whoever finds a SQLite file damaged or empty begins a new one; the caller still fails."""
        try:
            yield
        except DatabaseError as error:
            if self._path is not None and _is_damage(error):
                self._begin_anew(_reason(error))
            raise

    def _begin_anew(self, reason: object) -> None:
        _log.warning("%s: %s", self._path, reason)
        self._set_aside()
        migrate(self.engine)
        self._on_lost()

    def _set_aside(self) -> None:
        """What is there is no database: keep it for whoever wants to look, and begin anew."""
        assert self._path is not None
        _log.warning("%s is damaged and is made again from the manifests", self._path)
        self.engine.dispose()
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                damaged = self._path.with_name(self._path.name + suffix)
                damaged.replace(damaged.with_name(damaged.name + ".damaged"))

    @property
    def _name(self) -> str:
        """For a user; a URL without its password."""
        return str(self._path or self.engine.url.render_as_string(hide_password=True))


def migrate(engine: Engine) -> None:
    """Bring the schema up to date, one process at a time. Raises DatabaseError, CatalogueError."""
    with _to_write(engine).begin() as connection:
        if engine.dialect.name == "postgresql":
            _lock(connection)
        if revision(connection) != HEAD:
            _upgrade(connection)


def revision(connection: Connection) -> str | None:
    """The schema's revision; None for a database that none of us made."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # here: it takes a quarter of a second, and is seldom needed
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    if revision(connection) is None and inspect(connection).has_table("lessons"):
        command.stamp(config, "0001")  # made before there were revisions
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise CatalogueError(
            "The catalogue was made by a newer version of Tongbu; use that version, or move "
            f"{FILE} away to have it made again ({error})."
        ) from error


def _sqlite(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", json_serializer=_as_json, **_POOL)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: Any) -> None:
        """Readers never wait for the writer; a lost last second is rebuilt from the manifests."""
        connection.isolation_level = None  # transactions begin where we say, not at a whim
        record.info["file"] = _identity(path)
        for pragma in (
            "busy_timeout=10000",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "cache_size=-32768",  # KiB: all of `lessons`, of 50,000, and what is often looked for
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "checkout")
    def _follow(connection: Any, record: Any, proxy: Any) -> None:
        """The file may be replaced at any time, by another process too."""
        if record.info["file"] != _identity(path):
            raise DisconnectionError("the file was replaced")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))

    return engine


def _postgresql(url: str) -> Engine:
    try:
        parsed = _driver(make_url(url))
        engine = create_engine(parsed, json_serializer=_as_json, pool_pre_ping=True, **_POOL)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise CatalogueError(
            "archive.database is no URL of a PostgreSQL, such as "
            "postgresql+psycopg://user:password@host/database"
        ) from error
    except ImportError as error:
        raise CatalogueError(
            "The driver for PostgreSQL is not installed: pip install 'tongbu[postgres]'"
        ) from error

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: Any) -> None:
        """The planner knows not what it costs to unpack a tsvector: reading all of them looks
        cheap to it, and takes seven times as long as asking the index. Nor is any question of ours
        long enough for compiling it."""
        with connection.cursor() as cursor:
            for setting in ("enable_seqscan = off", "jit = off", "work_mem = '16MB'"):
                cursor.execute(f"SET {setting}")
        connection.commit()

    return engine


def _driver(url: URL) -> URL:
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ValueError(url.drivername)
    return url.set(drivername="postgresql+psycopg")


def _to_write(engine: Engine) -> Engine:
    """The same, whose transactions take SQLite's lock at once: one taken late may be refused."""
    return engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})


def _lock(connection: Connection) -> None:
    """One writer at a time, as in SQLite; until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _is_damage(error: DatabaseError) -> bool:
    """A file that is not, or no longer, our database: SQLite has no kind of error for it but the
    most general one; trouble with the disk, or with what was asked, has kinds of its own.
    """
    return type(error) is DatabaseError or "no such table" in str(error.orig)


def _store_id(data_dir: Path) -> str:
    """The name under which this data folder's lessons are known in a shared database."""
    path = data_dir / _STORE
    with suppress(FileExistsError), path.open("x", encoding="ascii") as file:
        file.write(uuid.uuid4().hex)
        file.flush()
        os.fsync(file.fileno())
    return path.read_text(encoding="ascii").strip()


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _reason(error: Exception) -> str:
    """The driver's words, one line."""
    cause = error.orig if isinstance(error, DatabaseError) else error
    return " ".join(str(cause).split()) or type(error).__name__
