"""CMAF chunks: what players and FFmpeg make of them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.pipeline import cmaf
from recorder.pipeline.mux import init_segment
from tests.recorder import hls, media

START = 0x1_2345_6789


def chunk(clip: tuple[media.Coded, ...], start: int, duration: int, *, h264: bool) -> bytes:
    samples = [cmaf.length_prefixed(frame.data) if h264 else frame.data for frame in clip]
    table = []
    for frame, sample in zip(clip, samples, strict=True):
        table += [duration, len(sample), cmaf.SYNC if frame.keyframe else cmaf.DELTA]
    return cmaf.chunk(7, start, samples, table)


@pytest.mark.parametrize("codec", ["H264", "VP9", "AV1"])
def test_chunks_in_a_row_decode_at_their_times(codec: str):
    clip = media.video(codec, 2, gop=30)
    init = init_segment(codec, clip[0].data)
    chunks = [
        chunk(clip[at : at + 6], START + at * 3_000, 3_000, h264=codec == "H264")
        for at in range(0, 60, 6)
    ]
    frames = hls.decode(init.data + b"".join(chunks))
    assert [frame.pts for frame in frames] == [START + n * 3_000 for n in range(60)]
    assert [n for n, frame in enumerate(frames) if frame.key_frame] == [0, 30]


def test_sound_decodes_sample_for_sample():
    clip = media.audio(1)
    frames = hls.decode(init_segment("opus", b"").data + chunk(clip, 96_000, 960, h264=False))
    assert sum(frame.samples for frame in frames) == 48_000
    assert frames[0].pts == 96_000


def test_the_boxes_are_where_the_standard_wants_them():
    data = cmaf.chunk(9, START, [b"one", b"three"], [10, 3, cmaf.SYNC, 11, 5, cmaf.DELTA])
    (_, moof), (_, mdat) = hls.boxes(data)
    assert mdat == b"onethree"
    (_, mfhd), (_, traf) = hls.boxes(moof)
    assert struct.unpack(">II", mfhd) == (0, 9)
    inside = dict(hls.boxes(traf))
    assert list(inside) == ["tfhd", "tfdt", "trun"]
    assert inside["tfhd"] == struct.pack(">II", 0x020000, 1)
    assert inside["tfdt"] == struct.pack(">IQ", 1 << 24, START)
    flags, count, offset = struct.unpack_from(">IIi", inside["trun"])
    assert (flags, count) == (0x701, 2)
    assert data[offset:] == b"onethree"


@given(st.lists(st.tuples(st.integers(1, 2**32 - 1), st.binary(max_size=9)), min_size=1))
def test_any_samples_come_back_as_they_went_in(samples: list[tuple[int, bytes]]):
    table = [number for length, data in samples for number in (length, len(data), cmaf.SYNC)]
    made = cmaf.chunk(1, 5, [data for _, data in samples], table)
    assert hls.fragments(made) == [(5, sum(length for length, _ in samples))]
    assert made.endswith(b"".join(data for _, data in samples))


def test_parameter_sets_are_taken_out_of_a_keyframe_and_nothing_else():
    keyframe = media.video("H264", 1)[0].data
    units = units_of(cmaf.length_prefixed(keyframe))
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
    assert units_of(cmaf.length_prefixed(frame)) == units


@given(st.binary(max_size=60))
def test_any_bytes_become_whole_units(data: bytes):
    assert all(units_of(cmaf.length_prefixed(data.replace(b"x", b"\0\0\1"))))


def units_of(sample: bytes) -> list[bytes]:
    at, units = 0, []
    while at < len(sample):
        size = int.from_bytes(sample[at : at + 4])
        assert at + 4 + size <= len(sample)
        units.append(sample[at + 4 : at + 4 + size])
        at += 4 + size
    return units
