"""Search finds every lesson that has the words, and no other: by an oracle that only looks."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.archive.layout import Entry
from recorder.catalogue import Catalogue, Query
from tests.recorder.catalogue.conftest import entry

_SIGNS = "分数的加法圆ab1Aé 　,.-_%'\"*^:()\n\0Ａ𠮷あ"
_TEXT = st.text(st.sampled_from(_SIGNS), max_size=12) | st.text(max_size=8)
_LESSONS = st.lists(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("title", "school", "teacher", "notes"), _TEXT)
    ),
    min_size=1,
    max_size=4,
)
_SETTINGS = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("catalogue")


@pytest.fixture
def catalogue(folder: Path, url: str) -> Iterator[Catalogue]:
    made = Catalogue(folder, url)
    yield made
    made.close()


def folded(text: str) -> list[tuple[bool, str]]:
    """The words of a text, one character at a time: (written without spaces, the word)."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    found: list[tuple[bool, str]] = []
    last: bool | None = None
    for character in text:
        kind = None
        if unicodedata.category(character)[0] in "LMN":
            name = unicodedata.name(character, "")
            kind = name.startswith(("CJK UNIFIED", "HIRAGANA", "KATAKANA", "HANGUL SYLL"))
        if kind is not None and kind == last:
            found[-1] = (kind, found[-1][1] + character)
        elif kind is not None:
            found.append((kind, character))
        last = kind
    return found


def has(made: Entry, query: str) -> bool:
    fields = (made.title, made.lesson, made.school, made.teacher, made.notes)
    words = [word for field in fields for word in folded(field)]
    return all(
        any(
            wanted in word if unspaced else word.startswith(wanted)
            for kind, word in words
            if kind == unspaced
        )
        for unspaced, wanted in folded(query)
    )


def clean(text: str) -> str:
    """Neither an editor nor a lesson gets these into an entry (`details.clean`)."""
    return "".join(c for c in text if c != "\0" and unicodedata.category(c) != "Cs")


def known(text: str) -> bool:
    """The oracle tells scripts apart by the names of characters, where it can."""
    return all(
        ord(c) < 0x250 or c in _SIGNS or unicodedata.category(c)[0] not in "LMN"
        for c in unicodedata.normalize("NFKC", text)
    )


@given(lessons=_LESSONS, query=_TEXT.filter(known))
@_SETTINGS
def test_every_lesson_that_has_the_words_and_no_other(
    catalogue: Catalogue, lessons: list[dict[str, str]], query: str
):
    saved = []
    for number, fields in enumerate(lessons):
        cleaned = {name: clean(text) for name, text in fields.items()}
        saved.append(entry(number, **cleaned))
        catalogue.save(saved[-1])
    for number in range(len(lessons), 4):
        catalogue.remove(entry(number).id)
    page = catalogue.search(Query(query, facets=True))
    expected = {made.id for made in saved if has(made, query)}
    if query.strip() and not folded(query):
        expected = set()
    assert {hit.entry.id for hit in page.hits} == expected
    assert page.total == len(expected)


@given(query=st.text() | st.text(st.sampled_from("\"'*^():-+<>&|!%_\\\0 aORNOTANDNEAR分")))
@_SETTINGS
def test_no_query_is_an_error(catalogue: Catalogue, query: str):
    page = catalogue.search(Query(query, filters={"school": [clean(query)]}, facets=True))
    assert page.total == len(page.hits)
