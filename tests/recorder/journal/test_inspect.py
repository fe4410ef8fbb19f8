"""What is told of a journal: of a whole one, of one with holes, of a spoilt one."""

import dataclasses
import json
from pathlib import Path

import pytest

from recorder.errors import JournalError
from recorder.journal.inspect import inspect
from tests.recorder import tbj
from tests.recorder.journals import Frame, Journal, Sender, SenderReport, at_us, lesson


def test_a_whole_journal(folder: Path) -> None:
    journal = folder / "journal"
    written = lesson("H264", 8)
    tbj.write(written, journal)
    seen: list[int] = []
    facts = inspect(journal, seen.append)
    assert facts.state == "ended"
    assert facts.seconds == pytest.approx(8.5, abs=0.01)
    assert facts.damage == []
    assert facts.bytes == seen[-1] == (journal / "00000001.tbj").stat().st_size
    assert [segment.records for segment in facts.segments] == [facts.records]
    sound, picture = facts.tracks
    assert (sound.codec, sound.source, sound.kind) == ("opus", "microphone", "audio")
    assert (picture.codec, picture.source, picture.clock_rate) == ("H264", "camera", 90_000)
    assert (sound.packets, sound.ssrcs) == (400, [1])
    assert picture.packets >= 240
    for track in facts.tracks:
        assert (track.lost, track.repeated, track.late, track.gaps) == (0, 0, 0, [])
        reports = [r for r in written.records if isinstance(r, SenderReport)]
        assert track.reports == sum(report.track == track.track for report in reports) > 5
        assert track.measured_rate == pytest.approx(track.clock_rate, rel=1e-4)
    assert facts.event_counts == {"lesson_ended": 1, "lesson_started": 1, "track_published": 2}
    assert facts.events[0]["title"] == "Mathematics"
    assert json.loads(json.dumps(dataclasses.asdict(facts)))["tracks"][1]["codec"] == "H264"


def sound(journal: Journal, at: float, count: int, **frame: bool) -> list[Frame]:
    """Packets of sound, 20 ms each."""
    sender = Sender(1, 48_000)
    return [
        Frame(1, sender.timestamp(at + n * 0.02), at_us(at + n * 0.02), True, False, b"x" * 80)
        for n in range(count)
    ]


def test_loss_is_told_from_silence(folder: Path) -> None:
    journal = Journal().start().publish(0.1, 1, "microphone", "opus")
    writer = tbj.Writer(folder / "journal")
    writer.write(journal.records)
    packets = sound(journal, 1.0, 100)
    writer.write(packets[:50])
    writer.skip(1, 5)
    writer.write(packets[55:])
    writer.write(sound(journal, 9.0, 10))  # nobody spoke for six seconds
    writer.kill()
    facts = inspect(folder / "journal")
    assert facts.state == "abandoned"
    [track] = facts.tracks
    assert (track.packets, track.lost) == (105, 5)
    assert [(gap.reason, gap.packets) for gap in track.gaps] == [("loss", 5), ("silence", 0)]
    assert track.gaps[0].at_s == pytest.approx(1.98)
    assert track.gaps[0].seconds == pytest.approx(0.12)
    assert track.gaps[1].seconds == pytest.approx(6.02)
    assert (track.first_s, track.last_s) == (1.0, 9.18)


def test_late_and_repeated_packets_are_not_lost(folder: Path) -> None:
    journal = Journal().start().publish(0.1, 1, "microphone", "opus")
    writer = tbj.Writer(folder / "journal")
    writer.write(journal.records)
    packets = sound(journal, 1.0, 10)
    writer.write(packets[:4])
    writer.skip(1, 1)
    writer.write(packets[5:8])
    writer.skip(1, -4)
    writer.write(packets[4:5])  # late
    writer.write(packets[5:8])  # and these once more
    writer.write(packets[8:])
    writer.kill()
    [track] = inspect(folder / "journal").tracks
    assert (track.lost, track.repeated, track.late) == (0, 3, 3)
    assert track.gaps == []


def test_a_spoilt_journal_says_where(folder: Path) -> None:
    tbj.write(lesson("H264", 4), folder / "journal")
    segment = folder / "journal" / "00000001.tbj"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    facts = inspect(folder / "journal")
    [damage] = facts.damage
    assert damage["segment"] == 1
    assert damage["offset"] <= len(data) // 2 < damage["offset"] + damage["bytes"]
    assert facts.segments[0].damaged == damage["bytes"]
    assert facts.state == "ended"


def test_a_torn_end_is_damage_only_without_a_writer(folder: Path) -> None:
    journal = lesson("H264", 4, ended=False)
    writer = tbj.Writer(folder / "journal")
    writer.write(journal.records[:-1])
    writer.write_torn(journal.records[-1])
    live = inspect(folder / "journal")
    assert (live.state, live.damage) == ("live", [])
    writer.kill()
    gone = inspect(folder / "journal")
    assert (gone.state, len(gone.damage)) == ("abandoned", 1)
    assert gone.records == live.records


def test_events_that_are_none_do_no_harm(folder: Path) -> None:
    writer = tbj.Writer(folder / "journal")
    writer.write_raw(tbj.EVENT, 0, b"{")
    writer.write_raw(tbj.EVENT, 0, b"[]")
    writer.write_raw(tbj.EVENT, 0, b"\xff\xfe")
    writer.write_raw(tbj.EVENT, 0, b'{"type":"track_published","track":"one"}')
    writer.write_raw(tbj.EVENT, 0, b'{"type":["odd"],"clock_rate":{}}')
    writer.kill()
    facts = inspect(folder / "journal")
    assert facts.records == 5
    assert facts.event_counts == {"?": 3, "['odd']": 1, "track_published": 1}


def test_what_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be read"):
        inspect(tmp_path)
