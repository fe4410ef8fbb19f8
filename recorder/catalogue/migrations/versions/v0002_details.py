"""Details to filter by, edits, and an index of words."""

import re
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_DIGITS = re.compile("[0-9a-f]{4}")
_BATCH = 1_000
_TEXTS = ("school", "subject", "grade", "teacher", "series", "language")


def upgrade() -> None:
    """Make the new tables, and put into them what the old one has; its words are indexed later."""
    op.rename_table("lessons", "lessons_before")
    _make_tables()
    _make_search(op.get_bind().dialect.name)
    _move()
    op.drop_table("lessons_before")


def _make_tables() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    texts = [sa.Column(name, sa.String, nullable=False) for name in _TEXTS]
    op.create_table(
        "lessons",
        sa.Column("number", big, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("store", sa.String, nullable=False),
        sa.Column("lesson", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        *texts,
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("duration_s", sa.Float, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("hold", sa.Boolean, nullable=False),
        sa.Column("keep_until", sa.Float),
        sa.Column("indexed", sa.String, nullable=False),
    )
    for name in ("lesson", *_TEXTS):
        op.create_index(f"lessons_by_{name}", "lessons", [name, "number"])
    op.create_index("lessons_by_duration", "lessons", ["duration_s", "number"])
    op.create_index("lessons_by_start", "lessons", ["started_at"])
    op.create_index("lessons_by_state", "lessons", ["state"])
    op.create_table(
        "records",
        sa.Column("number", big, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.JSON, nullable=False),
        sa.Column("edits", sa.JSON, nullable=False),
        sa.Column("talk", sa.JSON, nullable=False),
    )


def _make_search(dialect: str) -> None:
    if dialect == "sqlite":
        # Tokens come ready and parted by spaces; `ascii` takes all that is not ASCII as a letter.
        op.execute(
            "CREATE VIRTUAL TABLE search USING fts5"
            "(head, facts, body, tokenize='ascii', prefix='1')"
        )
        return
    op.execute(
        "CREATE TABLE search (number BIGINT PRIMARY KEY, head TEXT NOT NULL, facts TEXT NOT NULL,"
        " body TEXT NOT NULL, head_words TSVECTOR NOT NULL, facts_words TSVECTOR NOT NULL,"
        " words TSVECTOR NOT NULL)"
    )
    for name in ("head_words", "facts_words", "words"):
        op.execute(f"CREATE INDEX search_by_{name} ON search USING GIN ({name})")


def _move() -> None:
    old = sa.table(
        "lessons_before",
        sa.column("id"),
        sa.column("lesson"),
        sa.column("state"),
        sa.column("started_at"),
        sa.column("entry", sa.JSON),
    )
    lessons = sa.table("lessons", *(sa.column(name) for name in (*_COLUMNS, *_TEXTS)))
    records = sa.table(
        "records",
        sa.column("number"),
        *(sa.column(name, sa.JSON) for name in ("entry", "edits", "talk")),
    )
    connection = op.get_bind()
    rows = connection.execute(sa.select(old).order_by(old.c.id)).all()
    taken: set[int] = set()
    moved: list[tuple[int, Any]] = []
    for row in rows:
        number = _number(row.id, row.started_at)
        while number in taken:
            number += 1
        taken.add(number)
        moved.append((number, row))
    for first in range(0, len(moved), _BATCH):
        batch = moved[first : first + _BATCH]
        connection.execute(lessons.insert(), [_lesson(number, row) for number, row in batch])
        connection.execute(
            records.insert(),
            [
                {"number": number, "entry": row.entry, "edits": {}, "talk": []}
                for number, row in batch
            ],
        )


_COLUMNS = (
    *("number", "id", "store", "lesson", "state", "started_at", "duration_s", "bytes"),
    *("hold", "keep_until", "indexed"),
)


def _lesson(number: int, row: Any) -> dict[str, Any]:
    return {
        "number": number,
        "id": row.id,
        "store": "",
        "lesson": row.lesson,
        "state": row.state,
        "started_at": row.started_at,
        "duration_s": row.entry.get("duration_s", 0.0),
        "bytes": row.entry.get("bytes", 0),
        "hold": False,
        "keep_until": None,
        "indexed": "",
        **dict.fromkeys(_TEXTS, ""),
    }


def _number(lesson_id: str, started_at: float) -> int:
    """The second at which it began, and the digits that its id ends with."""
    try:
        moment = datetime.strptime(lesson_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        moment = started_at
    digits = lesson_id[-4:]
    return (max(0, int(moment)) << 16) + (int(digits, 16) if _DIGITS.fullmatch(digits) else 0)
