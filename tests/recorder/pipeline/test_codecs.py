"""What frames tell without being decoded."""

import io

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import MediaError
from recorder.pipeline import codecs
from recorder.pipeline.mux import init_segment
from tests.recorder import media


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"\xf8\xff\xfe", 960),  # CELT, 20 ms
        (b"\x00", 480),  # SILK, 10 ms
        (b"\x19", 2880 * 2),  # SILK, two frames of 60 ms
        (b"\x6b\x03", 960 * 3),  # hybrid, 20 ms, code 3: three frames
        (b"\x1b\x03", 0),  # 180 ms: longer than a packet may be
        (b"\x6b", 0),
        (b"", 0),
    ],
)
def test_opus_durations(packet: bytes, samples: int):
    assert codecs.opus_duration(packet) == samples


@given(st.integers(-1_000, 200_000))
def test_silence_is_as_long_as_asked_to_within_a_short_frame(samples: int):
    packets = codecs.silence(samples)
    assert 0 <= max(samples, 0) - sum(length for _, length in packets) < 120
    assert all(codecs.opus_duration(data) == length for data, length in packets)


@pytest.mark.parametrize("length", [120, 240, 480, 960])
def test_silence_decodes_to_silence(length: int):
    ((packet, _),) = codecs.silence(length)
    decoder = av.CodecContext.create("libopus", "r")
    (frame,) = decoder.decode(av.Packet(packet))
    assert frame.samples == length
    assert not frame.to_ndarray().any()


@pytest.mark.parametrize("codec", ["H264", "VP8", "VP9", "AV1"])
def test_parameters_are_the_same_for_each_keyframe_of_a_clip_and_differ_by_size(codec: str):
    keys = [frame.data for frame in media.video(codec, 4) if frame.keyframe]
    tags = {codecs.parameters(codec, key) for key in keys}
    other = media.video(codec, 1, size=(640, 360))[0].data
    assert len(keys) > 1
    assert len(tags) == 1
    assert codecs.parameters(codec, other) not in tags


@pytest.mark.parametrize("codec", ["H264", "VP8", "VP9", "AV1"])
@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0\1\x65\x88", b"\x12\x00", bytes(40)])
def test_garbage_has_no_parameters(codec: str, data: bytes):
    with pytest.raises(MediaError):
        codecs.parameters(codec, data)


@given(codec=st.sampled_from(["H264", "VP8", "VP9", "AV1"]), data=st.binary(max_size=80))
def test_any_bytes_have_parameters_or_raise_media_error(codec: str, data: bytes):
    try:
        codecs.parameters(codec, data)
    except MediaError:
        return


@pytest.mark.parametrize(
    ("codec", "expected"),
    [("H264", "avc1.42c00d"), ("VP9", "vp09.00.11.08"), ("AV1", "av01.0.00M.08")],
)
def test_codec_strings_come_from_the_init(codec: str, expected: str):
    assert codecs.codec_string(init_segment(codec, media.video(codec, 1)[0].data).data) == expected


def test_an_init_of_no_known_codec_has_no_string():
    with pytest.raises(MediaError):
        codecs.codec_string(b"\0\0\0\x08moov")


def test_the_opus_template_is_an_ogg_that_others_can_read():
    with codecs.template("opus", b"") as source:
        assert source.streams[0].codec_context.name in ("opus", "libopus")
        assert source.streams[0].codec_context.extradata.startswith(b"OpusHead\x01\x02\0\0")


def test_a_template_of_garbage_is_refused():
    with pytest.raises(MediaError):
        codecs.template("H264", io.BytesIO(b"nothing of the kind").read())
