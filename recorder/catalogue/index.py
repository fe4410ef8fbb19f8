"""The table `search`: which lessons have which words, in SQLite's way and in PostgreSQL's.

A lesson's words are in three texts, the nearer the better: `head` (title and name), `facts`
(school, subject, teacher ...) and `body` (notes and chat). A scope is how many are looked at.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    column,
    delete,
    func,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY

from recorder.archive import details
from recorder.archive.layout import Entry
from recorder.archive.talk import Message
from recorder.catalogue import words
from recorder.catalogue.words import Term

MOST_TALK = 60_000
"""Characters of a lesson's chat that are found again; a tsvector holds no more than 1 MiB."""


_NAMES = ("head", "facts", "body")


class Scope(IntEnum):
    """How much of a lesson is looked at."""

    HEAD = 1
    FACTS = 2
    ALL = 3


@dataclass(frozen=True, slots=True)
class Texts:
    """What is found of a lesson, as `words.plain` makes it."""

    head: str
    facts: str
    body: str

    @classmethod
    def of(cls, entry: Entry, talk: Iterable[Message]) -> "Texts":
        """All of an entry's words, and of what was written in its lesson."""
        facts = [getattr(entry, name) for name in details.FACETS if name != "language"]
        said = "\n".join(message.text for message in talk)[:MOST_TALK]
        return cls(
            words.plain(f"{entry.title}\n{entry.lesson}"),
            words.plain("\n".join([*facts, *entry.tags])),
            words.plain(f"{entry.notes}\n{said}"),
        )

    @property
    def digest(self) -> str:
        """Tells these texts, and the rules that make words of them, from others."""
        joined = "\n".join((self.head, self.facts, self.body)).encode()
        return f"{words.VERSION}:{hashlib.blake2b(joined, digest_size=12).hexdigest()}"


class SqliteIndex:
    """An FTS5 table whose rowid is the lesson's number."""

    _TABLE = table("search", column("rowid", BigInteger), column("search"))
    _SCOPES = {Scope.HEAD: "{head} : ", Scope.FACTS: "{head facts} : ", Scope.ALL: ""}  # noqa: RUF012
    _INSERT = text(
        "INSERT INTO search (rowid, head, facts, body) VALUES (:number, :head, :facts, :body)"
    )

    def write(self, connection: Connection, lessons: Mapping[int, Texts]) -> None:
        """Put lessons' words in, by their numbers, instead of those they had."""
        self.remove(connection, lessons)
        rows = [
            {"number": number, **{name: _spaced(getattr(texts, name)) for name in _NAMES}}
            for number, texts in lessons.items()
        ]
        if rows:
            connection.execute(self._INSERT, rows)

    def remove(self, connection: Connection, numbers: Iterable[int]) -> None:
        """Forget lessons."""
        connection.execute(delete(self._TABLE).where(self._TABLE.c.rowid.in_(list(numbers))))

    def matching(
        self, terms: Sequence[Term], scope: Scope, without: Scope | None = None
    ) -> Select[Any]:
        """The numbers of the lessons that have all terms, though not in the smaller scope."""
        wanted = " AND ".join(map(self._phrase, terms))
        expression = f"({self._SCOPES[scope]}({wanted}))"
        if without is not None:
            expression += f" NOT ({self._SCOPES[without]}({wanted}))"
        return select(self._TABLE.c.rowid.label("number")).where(
            self._TABLE.c.search.op("MATCH")(expression)
        )

    def together(self, found: Select[Any]) -> Select[Any]:
        """All of these numbers as one text: thousands of rows cost more than what they say."""
        (number,) = found.subquery().c
        return select(func.group_concat(number))

    @staticmethod
    def newest(
        number: ColumnElement[Any], terms: Sequence[Term], narrowed: bool
    ) -> ColumnElement[Any]:
        """By what to order what was found: it comes in this order already."""
        return number.desc()

    @staticmethod
    def _phrase(term: Term) -> str:
        """Tokens are letters, marks and digits, so that nothing in quotes can end them."""
        return f'"{" ".join(term.tokens)}"' + ("" if term.exact else " *")


class PostgresqlIndex:
    """A table of tsvectors, made of our own tokens: no parser or dictionary of the server's."""

    _TABLE = table(
        "search",
        column("number", BigInteger),
        *(column(name, Text) for name in _NAMES),
        *(column(name) for name in ("head_words", "facts_words", "words")),
    )
    _INSERT = text(
        "INSERT INTO search VALUES (:number, :head, :facts, :body, array_to_tsvector(:a),"
        " array_to_tsvector(:b), array_to_tsvector(:c))"
    ).bindparams(*(bindparam(name, type_=ARRAY(Text)) for name in "abc"))

    def write(self, connection: Connection, lessons: Mapping[int, Texts]) -> None:
        """Put lessons' words in, by their numbers, instead of those they had."""
        self.remove(connection, lessons)
        rows = [self._row(number, texts) for number, texts in lessons.items()]
        if rows:
            connection.execute(self._INSERT, rows)

    def remove(self, connection: Connection, numbers: Iterable[int]) -> None:
        """Forget lessons."""
        connection.execute(delete(self._TABLE).where(self._TABLE.c.number.in_(list(numbers))))

    def together(self, found: Select[Any]) -> Select[Any]:
        """All of these numbers as one text: thousands of rows cost more than what they say."""
        (number,) = found.subquery().c
        return select(func.string_agg(cast(number, Text), ","))

    def matching(
        self, terms: Sequence[Term], scope: Scope, without: Scope | None = None
    ) -> Select[Any]:
        """The numbers of the lessons that have all terms, though not in the smaller scope."""
        statement = select(self._TABLE.c.number).where(self._has(terms, scope))
        return statement if without is None else statement.where(~self._has(terms, without))

    @staticmethod
    def newest(
        number: ColumnElement[Any], terms: Sequence[Term], narrowed: bool
    ) -> ColumnElement[Any]:
        """By what to order what was found. The planner knows how frequent a token is, not how
        frequent several are together, or in what `narrowed` leaves: taking the newest lessons one
        by one until enough have them may then mean all. `+ 0` makes it ask the index, and sort."""
        frequent = len(terms) == 1 and len(terms[0].tokens) == 1 and not narrowed
        return number.desc() if frequent else (number + 0).desc()

    def _has(self, terms: Sequence[Term], scope: Scope) -> ColumnElement[bool]:
        columns = self._TABLE.c
        vector = (columns.head_words, columns.facts_words, columns.words)[scope - 1]
        wanted = " & ".join(map(self._lexemes, terms))
        found = vector.op("@@")(cast(wanted, TSQUERY))
        texts = (columns.head, columns.facts, columns.body)[:scope]
        rows = [self._in_a_row(term, texts) for term in terms if len(term.tokens) > 1]
        return and_(found, *rows)

    @staticmethod
    def _row(number: int, texts: Texts) -> dict[str, Any]:
        head = set(words.tokens(texts.head))
        facts = head | set(words.tokens(texts.facts))
        whole = facts | set(words.tokens(texts.body))
        plain = {name: getattr(texts, name) for name in _NAMES}
        return {"number": number, **plain, "a": list(head), "b": list(facts), "c": list(whole)}

    @staticmethod
    def _lexemes(term: Term) -> str:
        if term.exact:
            return " & ".join(f"'{token}'" for token in term.tokens)
        return f"'{term.text}':*"

    @staticmethod
    def _in_a_row(term: Term, texts: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
        """That all pairs of characters are there does not say that they stand together."""
        return or_(*(func.strpos(text, term.text) > 0 for text in texts))


def _spaced(text: str) -> str:
    return " ".join(words.tokens(text))


Index = SqliteIndex | PostgresqlIndex
