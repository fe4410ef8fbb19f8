"""The reader that docs/journal.md shows reads what the engine writes."""

import re
from pathlib import Path
from typing import Any

import pytest

from recorder.journal.inspect import inspect
from tests.recorder import tbj
from tests.recorder.journals import lesson

DOCUMENT = Path(__file__).parents[2] / "docs" / "journal.md"


@pytest.fixture(scope="module")
def reader() -> dict[str, Any]:
    """What the document's Python defines."""
    [source] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(source, str(DOCUMENT), "exec"), names)
    return names


def test_it_reads_a_journal(reader: dict[str, Any], folder: Path) -> None:
    journal = folder / "journal"
    tbj.write(lesson("H264", 4), journal)
    facts = inspect(journal)
    summary = {track.track: (track.codec, track.packets) for track in facts.tracks}
    assert reader["summary"](journal) == summary
    assert len(list(reader["records"](journal))) == facts.records


def test_it_finds_its_way_through_damage(reader: dict[str, Any], folder: Path) -> None:
    journal = folder / "journal"
    tbj.write(lesson("H264", 4), journal)
    segment = journal / "00000001.tbj"
    data = bytearray(segment.read_bytes())
    data[5_000] ^= 8
    segment.write_bytes(data[:-10])
    facts = inspect(journal)
    assert len(facts.damage) == 2
    assert len(list(reader["records"](journal))) == facts.records


def test_it_names_every_event_that_is_written(reader: dict[str, Any]) -> None:
    package = DOCUMENT.parents[1] / "signaling"
    notes = (package / "notes.py").read_text()
    kinds = set(re.findall(r'(?:"type": |of_member\()"(\w+)"', notes))
    for name in ("room.py", "lesson.py", "stage.py"):
        kinds |= set(re.findall(r'note\(\s*"(\w+)"', (package / name).read_text()))
    assert {"lesson_started", "chat", "member_joined", "floor_granted"} <= kinds
    text = DOCUMENT.read_text()
    assert {kind for kind in kinds if f"`{kind}`" not in text} == set()
