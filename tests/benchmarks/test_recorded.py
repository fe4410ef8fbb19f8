"""Journals made for benchmarks are journals."""

from pathlib import Path

import pytest

from benchmarks import recorded
from clients.headless.media import inspect
from sfu._media import Frame, JournalReader


@pytest.fixture(scope="module")
def clip() -> recorded.Clip:
    return recorded.clip(320, 180, 200_000)


def test_the_native_reader_finds_every_frame(tmp_path: Path, clip: recorded.Clip):
    recorded.write(tmp_path / "journal", clip, 10)
    reader = JournalReader(str(tmp_path / "journal"))
    records = reader.read(10_000)
    kinds = [type(record).__name__ for record in records]
    assert reader.errors == 0
    assert kinds.count("Frame") == 10 * (30 + 50)
    assert kinds.count("SenderReport") == 20
    assert kinds[-1] == "JournalEnd"
    keyframes = [r for r in records if getattr(r, "keyframe", False) and r.track == 2]
    assert len(keyframes) == 5
    assert not any(getattr(record, "after_loss", False) for record in records)


def test_slides_may_stand_beside_the_camera(tmp_path: Path, clip: recorded.Clip):
    (tmp_path / "00000001.tbj").write_bytes(
        b"".join(record for _, record in recorded.timed(clip, 10, slides=True)) + recorded.end(10)
    )
    records = JournalReader(str(tmp_path)).read(10_000)
    kinds = [type(record).__name__ for record in records]
    assert (kinds.count("Frame"), kinds.count("SenderReport")) == (10 * (30 + 30 + 50), 30)
    frames = [record for record in records if isinstance(record, Frame)]
    camera, beside = ([f.data for f in frames if f.track == track] for track in (2, 3))
    assert camera == beside


def test_what_comes_in_batches_is_the_same_journal(clip: recorded.Clip):
    batches = list(recorded.batches(clip, 3))
    whole = b"".join(record for _, record in recorded.timed(clip, 3))
    assert b"".join(data for _, data in batches) == whole
    assert [due for due, _ in batches] == pytest.approx([0.05 * n for n in range(1, 61)])


def test_the_clip_is_a_file_that_can_be_published(tmp_path: Path, clip: recorded.Clip):
    recorded.as_mp4(clip, tmp_path / "clip.mp4")
    found = inspect(tmp_path / "clip.mp4")
    assert (found.video, found.audio) == ("H264", "opus")
    assert float(found.duration) == pytest.approx(recorded.CLIP_SECONDS, abs=0.05)
