"""What the worker tells the node, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.news import Closed, Ended, News, NewsError, Opened, Part, decode, encode

LESSON = "20260921-141320-数学-00aa"


@pytest.mark.parametrize(
    "news",
    [
        Opened(LESSON, "camera", "init-0001.mp4", "avc1.42c01f", 1.5, 0.22, 1280, 720),
        Opened(LESSON, "audio", "init-0001.mp4", "opus", 1.5, 0.22),
        Part(LESSON, "camera", 12, 3, 4_000, 5_000, 0.2, True),
        Part(LESSON, "audio", 0, 0, 0, 1, 1 / 3, False),
        Closed(LESSON, "camera", 12, "000013.m4s", 9_000, 24.1, 1.9),
        Ended(LESSON),
    ],
)
def test_news_arrives_as_it_was_told(news: News):
    line = encode(news)
    assert "\n" not in line
    assert line.startswith("{")
    assert decode(line) == news


@given(st.floats(0, 10, allow_nan=False), st.integers(0, 2**40), st.booleans())
def test_any_part_arrives(duration: float, number: int, independent: bool):
    part = Part(LESSON, "camera", number, number, number, number, duration, independent)
    assert decode(encode(part)) == part


@pytest.mark.parametrize(
    "line", ["{", "{}", "[]", "7", '{"news":"weather"}', '{"news":"ended"}', '{"news":["part"]}',
             '{"news":"ended","lesson":"x","more":1}'],
)  # fmt: skip
def test_a_line_that_makes_no_sense_is_no_news(line: str):
    with pytest.raises(NewsError):
        decode(line)
