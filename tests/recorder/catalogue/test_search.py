"""What a search finds, in which order, how it is counted, and what is shown of it."""

from collections.abc import Sequence

import pytest

from recorder.catalogue import Catalogue, Passage, Query, Sort
from recorder.catalogue.marks import marked
from recorder.catalogue.words import terms
from tests.recorder.catalogue.conftest import entry


def numbers(catalogue: Catalogue, query: Query) -> list[int]:
    """The seconds of the lessons found."""
    return [int(hit.entry.id[13:15]) for hit in catalogue.search(query).hits]


@pytest.fixture
def shelf(catalogue: Catalogue) -> Catalogue:
    """Nine lessons."""
    for made in (
        entry(1, "math", "Fractions, grade 4", school="Hilltop", subject="Mathematics"),
        entry(2, "数学", "分数的加法", school="山顶小学", subject="数学", teacher="王芳"),
        entry(3, "history", "1000 years", teacher="Anna Fracasso"),
        entry(4, title="Circles", notes="After the fractions.\nBring paper.", tags=("圆",)),
        entry(5, title="分母与分子", school="山顶小学", subject="数学", grade="四年级"),
        entry(6, title="数的历史", school="海边小学", subject="数学", series="数"),
        entry(7, title="3D打印", school="海边小学", subject="技术", language="zh-CN"),
        entry(8, title="ABC", state="degraded", language="en"),
        entry(9, "lab", "x", notes="分开的数不是分数"),
    ):
        catalogue.save(made)
    return catalogue


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ("fractions", [1, 4]),
        ("FRACTIONS grade", [1]),
        ("frac", [1, 3, 4]),
        ("ractions", []),
        ("分数", [2, 9]),
        ("数学", [2, 6, 5]),
        ("分", [5, 2, 9]),
        ("数的", [6, 2]),
        ("分数的", [2]),
        ("的数", [9]),
        ("数分", []),
        ("加法 分数", [2]),
        ("分数加法", []),
        ("山顶 分母", [5]),
        ("小学 数", [6, 5, 2]),
        ("3d", [7]),
        ("打印3D", [7]),
        ("圆", [4]),
        ("hilltop fractions", [1]),
        ("100%", [3]),
        ("_", []),
        ("fractions 分数", []),
        ("王芳", [2]),
        ("四年级", [5]),
    ],
)
def test_search_wants_every_word_and_puts_titles_first(
    shelf: Catalogue, words: str, found: list[int]
):
    assert numbers(shelf, Query(words)) == found
    assert shelf.search(Query(words, limit=1)).total == len(found)
    assert sorted(numbers(shelf, Query(words, sort=Sort.OLDEST))) == sorted(found)


@pytest.mark.parametrize("words", ["", "分", "小学 数", "frac", "数学"])
def test_pages_together_are_the_whole(shelf: Catalogue, words: str):
    whole = numbers(shelf, Query(words))
    for size in (1, 2, 3):
        pages = [
            numbers(shelf, Query(words, limit=size, offset=offset))
            for offset in range(0, len(whole) + size, size)
        ]
        assert [number for page in pages for number in page] == whole
    assert numbers(shelf, Query(words, offset=10_000)) == []


@pytest.mark.parametrize(
    ("filters", "words", "found"),
    [
        ({"school": ["山顶小学"]}, "", [5, 2]),
        ({"school": ["山顶小学", "海边小学"], "subject": ["数学"]}, "", [6, 5, 2]),
        ({"school": ["海边小学"]}, "数", [6]),
        ({"state": ["degraded"]}, "", [8]),
        ({"language": ["zh-CN"]}, "打印", [7]),
        ({"school": ["nowhere"]}, "", []),
        ({"school": [""]}, "frac", [3, 4]),
        ({"school": ["' OR 1=1 --"]}, "", []),
    ],
)
def test_filters(shelf: Catalogue, filters: dict[str, Sequence[str]], words: str, found: list[int]):
    query = Query(words, filters=filters)
    assert numbers(shelf, query) == found
    assert shelf.search(query).total == len(found)


def test_dates(shelf: Catalogue):
    third, sixth = entry(3).started_at, entry(6).started_at
    assert numbers(shelf, Query(since=third, until=sixth)) == [5, 4, 3]
    assert numbers(shelf, Query("分", since=third)) == [5, 9]


def test_facets_count_what_is_found_whatever_is_chosen_beside(shelf: Catalogue):
    everything = shelf.search(Query(facets=True)).facets
    assert everything["school"][2] == ("Hilltop", 1)  # the most frequent come first
    assert dict(everything["school"]) == {"山顶小学": 2, "海边小学": 2, "Hilltop": 1}
    assert dict(everything["subject"]) == {"数学": 3, "Mathematics": 1, "技术": 1}
    assert dict(everything["language"]) == {"zh-CN": 1, "en": 1}
    chosen = shelf.search(Query(filters={"school": ["海边小学"]}, facets=True))
    assert dict(chosen.facets["subject"]) == {"数学": 1, "技术": 1}
    assert dict(chosen.facets["school"]) == dict(everything["school"])
    searched = shelf.search(Query("分数", facets=True))
    assert searched.facets["school"] == [("山顶小学", 1)]
    assert shelf.search(Query("分数")).facets == {}
    assert shelf.search(Query("%", facets=True)).facets == {}


def test_what_is_found_is_shown(shelf: Catalogue):
    (hit,) = shelf.search(Query("frac", filters={"school": ["Hilltop"]})).hits
    assert hit.passages == [Passage("title", ("", "Frac", "tions, grade 4"))]
    hit = shelf.search(Query("fractions")).hits[1]
    assert hit.passages == [Passage("notes", ("After the ", "fractions", ".\nBring paper."))]
    assert all(hit.passages == [] for hit in shelf.search(Query()).hits)


@pytest.mark.parametrize(
    ("text", "query", "parts"),
    [
        ("分数的分数", "分数", ("", "分数", "的", "分数", "")),
        ("分数的", "分数 数的", ("", "分数的", "")),
        ("ＡＢＣ abc", "abc", ("", "ＡＢＣ", " ", "abc", "")),
        ("Straße", "strass", ("", "Straß", "e")),
        ("cabs abs", "abs", ("c" + "abs ", "abs", "")),
        ("㍿分数", "分数", ("㍿", "分数", "")),
        ("nothing", "分数", None),
        ("", "x", None),
    ],
)
def test_marks_are_on_the_text_as_it_is(text: str, query: str, parts: tuple[str, ...] | None):
    assert marked(text, terms(query)) == parts


def test_of_a_long_text_the_neighbourhood_is_shown():
    text = "一" * 500 + "分数" + "二" * 500
    parts = marked(text, terms("分数"), around=True)
    assert parts is not None
    assert parts[1] == "分数"
    assert parts[0].startswith("…一")
    assert parts[2].endswith("二…")
    assert len("".join(parts)) <= 122
