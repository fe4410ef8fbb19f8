"""What words a text has, and what a query asks for."""

import pytest

from recorder.catalogue.words import MOST_TERMS, Term, plain, terms, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("分数的", ["分数", "数的", "的"]),
        ("分", ["分"]),
        ("分数,加法", ["分数", "数", "加法", "法"]),
        ("Grade 4a", ["grade", "4a"]),
        ("3D打印x", ["3d", "打印", "印", "x"]),
        ("ＦＵＬＬ　ｗｉｄｔｈ", ["full", "width"]),
        ("Straße", ["strasse"]),
        ("_%'\"*()\0-", []),
        ("བོད་ཡིག", ["བོད", "ཡིག"]),
        ("𠮷野家", ["𠮷野", "野家", "家"]),
        ("x" * 100, ["x" * 64]),
        ("\ud800a\udfff", ["a"]),
    ],
)
def test_tokens(text: str, expected: list[str]):
    assert tokens(plain(text)) == expected


def test_a_query_is_what_it_asks_for_once_each():
    assert terms("分数 Frac 分数") == [Term("分数", True), Term("frac", False)]
    assert terms("5年级") == [Term("5", False), Term("年级", True)]
    assert terms("' OR 1=1 --") == [Term("or", False), Term("1", False)]
    assert terms("NEAR(a b)^*:") == [Term("near", False), Term("a", False), Term("b", False)]
    assert terms("\0%_") == []
    assert len(terms(" ".join(map(str, range(1000))))) == MOST_TERMS


def test_tokens_that_stand_for_a_term():
    assert Term("分数的", True).tokens == ["分数", "数的"]
    assert (Term("分", True).tokens, Term("分", True).exact) == (["分"], False)
    assert (Term("ab", False).tokens, Term("ab", False).exact) == (["ab"], False)
