"""Samples become CMAF chunks: what players and FFmpeg make of them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.pipeline.mux import init_segment
from sfu._media import Samples
from tests.recorder import hls, media

START = 0x1_2345_6789
NEVER = 1 << 62


def chunks(
    codec: str, clip: list[tuple[int, bytes, bool]], start: int, longest: int
) -> list[bytes]:
    """Samples (ticks, data, sync) in parts of up to `longest` ticks."""
    samples = Samples(codec, NEVER)
    samples.set_cut(longest, longest, NEVER)
    for ticks, data, sync in clip:
        samples.add(start, data, ticks, sync)
        start += ticks
        samples.flush(start, sync)
    samples.close()
    return [data for data, *_ in samples.poll() if data is not None]


def coded(clip: tuple[media.Coded, ...], ticks: int) -> list[tuple[int, bytes, bool]]:
    return [(ticks, frame.data, frame.keyframe) for frame in clip]


@pytest.mark.parametrize("codec", ["H264", "VP9", "AV1"])
def test_chunks_in_a_row_decode_at_their_times(codec: str):
    clip = media.video(codec, 2, gop=30)
    init = init_segment(codec, clip[0].data)
    made = chunks(codec, coded(clip, 3_000), START, 18_000)
    assert len(made) == 10
    frames = hls.decode(init.data + b"".join(made))
    assert [frame.pts for frame in frames] == [START + n * 3_000 for n in range(60)]
    assert [n for n, frame in enumerate(frames) if frame.key_frame] == [0, 30]


def test_sound_decodes_sample_for_sample():
    made = chunks("opus", coded(media.audio(1), 960), 96_000, 48_000)
    frames = hls.decode(init_segment("opus", b"").data + b"".join(made))
    assert sum(frame.samples for frame in frames) == 48_000
    assert frames[0].pts == 96_000


def test_the_boxes_are_where_the_standard_wants_them():
    clip = [(10, b"one", True), (11, b"three", False)]
    (data,) = chunks("VP9", clip, START, 100)
    (_, moof), (_, mdat) = hls.boxes(data)
    assert mdat == b"onethree"
    (_, mfhd), (_, traf) = hls.boxes(moof)
    assert struct.unpack(">II", mfhd) == (0, 1)
    inside = dict(hls.boxes(traf))
    assert list(inside) == ["tfhd", "tfdt", "trun"]
    assert inside["tfhd"] == struct.pack(">II", 0x020000, 1)
    assert inside["tfdt"] == struct.pack(">IQ", 1 << 24, START)
    flags, count, offset, *rows = struct.unpack_from(">IIi6I", inside["trun"])
    assert (flags, count) == (0x701, 2)
    assert rows == [10, 3, 0x02000000, 11, 5, 0x01010000]
    assert data[offset:] == b"onethree"


@given(
    st.lists(st.tuples(st.integers(1, 2**32 - 1), st.binary(min_size=1, max_size=9)), min_size=1)
)
def test_any_samples_come_back_as_they_went_in(samples: list[tuple[int, bytes]]):
    made = chunks("AV1", [(ticks, data, True) for ticks, data in samples], 5, NEVER)
    assert [hls.fragments(data) for data in made] == [[(5, sum(ticks for ticks, _ in samples))]]
    assert made[0].endswith(b"".join(data for _, data in samples))


def test_what_has_no_samples_is_refused():
    with pytest.raises(ValueError, match="VP8"):
        Samples("VP8", 0)


def prefixed(frame: bytes) -> bytes:
    """An H264 frame as it is written."""
    samples = Samples("H264", NEVER)
    samples.add(0, frame, 1, True)
    return samples.waiting


def test_parameter_sets_are_taken_out_of_a_keyframe_and_nothing_else():
    keyframe = media.video("H264", 1)[0].data
    units = units_of(prefixed(keyframe))
    kinds = [unit[0] & 31 for unit in units]
    assert 5 in kinds
    assert not {7, 8, 9} & set(kinds)
    assert units[-1] == keyframe[keyframe.rindex(b"\0\0\1\x65") + 3 :]


@pytest.mark.parametrize(
    ("frame", "units"),
    [
        (b"\0\0\0\1\x41abc", [b"\x41abc"]),
        (b"\0\0\1\x41abc", [b"\x41abc"]),
        (b"\0\0\0\1\x41abc\0\0\0\1\x41def", [b"\x41abc", b"\x41def"]),
        (b"\0\0\1\x41abc\0\0\0\0\1\x41def\0\0", [b"\x41abc", b"\x41def"]),
        (b"\0\0\0\1\x09\xf0\0\0\0\1\x41abc", [b"\x41abc"]),
        (b"\0\0\0\1\x67sps\0\0\1\x68pps\0\0\1\x65idr", [b"\x65idr"]),
        (b"", []),
        (b"no start code", []),
    ],
)
def test_units_get_their_lengths(frame: bytes, units: list[bytes]):
    assert units_of(prefixed(frame)) == units


@given(st.binary(max_size=60))
def test_any_bytes_become_whole_units(data: bytes):
    assert all(units_of(prefixed(data.replace(b"x", b"\0\0\1"))))


def units_of(sample: bytes) -> list[bytes]:
    at, units = 0, []
    while at < len(sample):
        size = int.from_bytes(sample[at : at + 4])
        assert at + 4 + size <= len(sample)
        units.append(sample[at + 4 : at + 4 + size])
        at += 4 + size
    return units
