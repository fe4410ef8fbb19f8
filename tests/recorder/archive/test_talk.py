"""What was written in a lesson, kept beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from recorder.archive import talk
from recorder.archive.talk import Message, Talk


def test_messages_come_back(tmp_path: Path):
    said = Talk()
    said.add(
        1.23456, {"type": "chat", "identity": "s7", "name": "Hilltop", "text": "为什么\n是三？"}
    )
    said.add(-0.5, {"identity": "s8", "text": " hello "})
    said.write(tmp_path)
    assert talk.read(tmp_path) == [
        Message(1.235, "Hilltop", "为什么 是三？", "s7"),
        Message(0.0, "s8", "hello", "s8"),
    ]
    lines = (tmp_path / talk.FILE).read_text().splitlines()
    assert json.loads(lines[0]) == {
        "t": 1.235,
        "from": "s7",
        "name": "Hilltop",
        "text": "为什么 是三？",
    }


def test_a_message_is_edited_and_taken_back(tmp_path: Path):
    said = Talk()
    said.add(1.0, {"identity": "s7", "message": "a", "text": "thre"})
    said.add(2.0, {"identity": "s7", "message": "b", "text": "oops"})
    said.add(2.5, {"identity": "s8", "message": "b", "text": "", "edited": True})  # not its own
    said.add(3.0, {"identity": "s7", "message": "a", "text": "three", "edited": True})
    said.add(4.0, {"identity": "s7", "message": "b", "text": "", "edited": True})
    said.write(tmp_path)
    assert talk.read(tmp_path) == [Message(1.0, "s7", "three", "s7")]


def test_nothing_said_is_no_file(tmp_path: Path):
    Talk().write(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert talk.read(tmp_path) == []


@pytest.mark.parametrize(
    "event", [{}, {"text": ""}, {"text": 7}, {"text": "\0"}, {"text": "x", "name": 7}]
)
def test_what_is_no_message(event: dict[str, Any]):
    with pytest.raises(ValueError, match="message"):
        Talk().add(1.0, event)


def test_it_is_bounded(tmp_path: Path):
    said = Talk()
    for _ in range(talk.MOST + 5):
        said.add(1.0, {"text": "x" * 2_000})
    assert said.omitted == 5
    said.write(tmp_path)
    read = talk.read(tmp_path)
    assert len(read) == talk.MOST
    assert len(read[0].text) == talk.LONGEST


def test_damaged_lines_are_left_out(tmp_path: Path):
    good = '{"t": 5, "name": "a", "text": "b"}'
    lines = [good, "{", "7", "[]", '{"t": "x", "text": "b"}', '{"t": -1, "text": "b"}', "\xff"]
    (tmp_path / talk.FILE).write_bytes("\n".join(lines).encode("latin-1") + b"\n" + good.encode())
    assert talk.read(tmp_path) == [Message(5.0, "a", "b")] * 2
