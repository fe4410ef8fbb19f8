"""How text becomes findable: words as they are, and pairs of characters where no space parts words.

Text is compared as NFKC, casefolded; letters, marks and digits make words, all else parts them.
Chinese is written without spaces, so each two neighbours make a token, and the last of a run one
more: 分数的 gives 分数 数的 的. A Chinese word is found wherever its characters stand in a row; one
character is found as the beginning of a token. Any other word is found by its beginning.

Pure. Whoever changes what tokens a text has raises `VERSION`: catalogues are then indexed anew.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

VERSION = 1

MOST_TERMS = 32
"""Words of a query that are looked at."""
_LONGEST = 64
"""Characters of a word that count; of a Chinese query as many."""

_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Myanmar, Khmer
    "\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff"  # Kana, Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\ua000-\ua4cf\uac00-\ud7af"  # Yi, Hangul
)
_RUN = re.compile(f"([{_UNSPACED}]+)|([^ {_UNSPACED}]+)")


class _Letters(dict[int, int]):
    """For `str.translate`: what makes words stays, all else is a space."""

    def __missing__(self, code: int) -> int:
        kept = code if unicodedata.category(chr(code))[0] in "LMN" else 0x20
        self[code] = kept
        return kept


_LETTERS = _Letters()


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a query: all of `text` in a row, or a word that begins with it."""

    text: str
    unspaced: bool

    @property
    def tokens(self) -> list[str]:
        """The tokens that stand for it, in a row; one alone means all that begin with it."""
        return _pairs(self.text) if self.unspaced and len(self.text) > 1 else [self.text]

    @property
    def exact(self) -> bool:
        """The tokens are meant as they are, not as beginnings."""
        return self.unspaced and len(self.text) > 1

    def pattern(self) -> re.Pattern[str]:
        """Finds it in a text that `plain` made."""
        return _pattern(self.text, self.unspaced)


def plain(text: str) -> str:
    """The text as it is compared: words and spaces."""
    return folded(text).translate(_LETTERS)


def folded(text: str) -> str:
    """The text with all signs that part its words: a word that is in here is in `plain` as well."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def tokens(text: str) -> list[str]:
    """The tokens of a text that `plain` made, in their order."""
    found: list[str] = []
    for unspaced, word in _RUN.findall(text):
        if unspaced:
            found += _pairs(unspaced)
            found.append(unspaced[-1])
        else:
            found.append(word[:_LONGEST])
    return found


def terms(query: str) -> list[Term]:
    """What a query asks for; all of it is wanted. Empty when there is no word in it."""
    found = [
        Term((unspaced or word)[:_LONGEST], bool(unspaced))
        for unspaced, word in _RUN.findall(plain(query))
    ]
    return list(dict.fromkeys(found))[:MOST_TERMS]


@lru_cache(maxsize=256)
def _pattern(text: str, unspaced: bool) -> re.Pattern[str]:
    before = "" if unspaced else f"(?<![^ {_UNSPACED}])"
    return re.compile(before + re.escape(text))


def _pairs(run: str) -> list[str]:
    return [run[place : place + 2] for place in range(len(run) - 1)]
