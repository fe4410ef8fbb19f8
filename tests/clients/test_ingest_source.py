"""What passes through, what is encoded anew, what is refused: FFmpeg on real files and sockets."""

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest
from aiortc.codecs.h264 import H264Encoder, h264_depayload

from clients.headless import ingest_source
from clients.headless.errors import SourceError
from clients.headless.ingest_source import Sent, Source, Wish
from tests.clients.sources import write_source

_B_FRAMES = {"bf": "2", "g": "15", "x264-params": "b-adapt=0"}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_source, "_LEAD", 1_000.0)
    monkeypatch.setattr(ingest_source, "OPEN_TIMEOUT", 1.0)
    monkeypatch.setattr(ingest_source, "READ_TIMEOUT", 1.0)
    monkeypatch.setattr(ingest_source, "_IN_VAIN", 60)


def pulled(path: Path, **wish: Any) -> tuple[dict[str, str], list[Sent]]:
    source = Source.open(Wish(f"file://{path}", **wish))
    try:
        return source.description, list(source.sent())
    finally:
        source.close()


def of(kind: str, sent: list[Sent]) -> list[Sent]:
    return [item for item in sent if item.kind == kind]


def decoded(name: str, frames: list[Sent]) -> int:
    """How many pictures, or samples, a decoder makes of it, beginning with the first."""
    decoder: Any = av.CodecContext.create(name, "r")
    if name == "opus":
        decoder.sample_rate, decoder.layout = 48_000, "stereo"
    found = [frame for item in frames for frame in decoder.decode(av.Packet(item.data))]
    found += decoder.decode(None)
    return sum(frame.samples for frame in found) if name == "opus" else len(found)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_h264_and_opus_pass_untouched(tmp_path: Path, suffix: str):
    path = write_source(tmp_path / f"clip.{suffix}")
    description, sent = pulled(path)
    assert description == {"video": "H264 320x180", "audio": "opus"}
    video = of("video", sent)
    assert len(video) == 60
    assert decoded("h264", video) == 60
    assert decoded("opus", of("audio", sent)) == pytest.approx(96_000, abs=2_000)
    gaps = [b.seconds - a.seconds for a, b in itertools.pairwise(video)]
    assert max(gaps) < 0.05
    for item in (item for item in video if item.data[4] & 31 in (5, 7, 9) and len(item.data) > 200):
        kinds = [unit[0] & 31 for unit in H264Encoder._split_bitstream(item.data)]
        assert {7, 8, 5} <= set(kinds) or 5 not in kinds  # each keyframe can be begun with


def test_what_is_sent_survives_the_packets(tmp_path: Path):
    """RFC 6184: what a receiver puts together again is what the source sent."""
    _, sent = pulled(write_source(tmp_path / "clip.mp4", size=(1280, 720), audio=None))
    assert max(len(item.data) for item in sent) > 5_000  # some come in fragments
    for item in of("video", sent):
        payloads = H264Encoder._packetize(H264Encoder._split_bitstream(item.data))
        assert all(len(payload) <= 1_300 for payload in payloads)
        whole = b"".join(h264_depayload(payload) for payload in payloads)
        assert list(H264Encoder._split_bitstream(whole)) == list(
            H264Encoder._split_bitstream(item.data)
        )


@pytest.mark.parametrize(
    ("codec", "options", "pix_fmt"),
    [
        ("libx264", _B_FRAMES, "yuv420p"),
        ("libx264", {"profile": "high444", "bf": "0"}, "yuv444p"),
        ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none"}, "yuv420p"),
        ("mjpeg", {}, "yuvj420p"),
    ],
)
def test_other_pictures_are_encoded_anew(
    tmp_path: Path, codec: str, options: dict[str, str], pix_fmt: str
):
    path = write_source(tmp_path / "clip.mkv", video=codec, options=options, pix_fmt=pix_fmt)
    description, sent = pulled(path)
    assert description["video"].endswith(" to H264 320x180")
    assert description["audio"] == "opus"  # that track alone
    video = of("video", sent)
    assert len(video) >= 55
    assert decoded("h264", video) == len(video)
    assert [item.seconds for item in video] == sorted(item.seconds for item in video)


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "layout"),
    [
        ("mp4", "aac", 44_100, "stereo"),
        ("mov", "pcm_alaw", 8_000, "mono"),
        ("mkv", "libopus", 48_000, "5.1"),
    ],
)
def test_other_sound_becomes_opus(tmp_path: Path, suffix: str, codec: str, rate: int, layout: str):
    path = write_source(tmp_path / f"clip.{suffix}", audio=codec, rate=rate, layout=layout)
    description, sent = pulled(path)
    assert description["video"] == "H264 320x180"
    assert description["audio"].endswith(" to opus")
    audio = of("audio", sent)
    assert decoded("opus", audio) == pytest.approx(96_000, abs=6_000)
    for one, other in itertools.pairwise(audio):
        assert other.seconds - one.seconds == pytest.approx(0.02, abs=0.001)
    video = of("video", sent)
    assert abs(audio[0].seconds - video[0].seconds) < 0.1


def test_the_sound_is_left_where_it_is_not_wanted(tmp_path: Path):
    _, sent = pulled(write_source(tmp_path / "clip.mp4"), audio=False)
    assert {item.kind for item in sent} == {"video"}


def test_b_frames_that_come_late_change_to_encoding(tmp_path: Path, monkeypatch: Any):
    path = write_source(tmp_path / "clip.ts", options=_B_FRAMES)
    monkeypatch.setattr(ingest_source, "passes_video", lambda stream: True)
    source = Source.open(Wish(f"file://{path}"))
    notes: list[str] = []
    video = of("video", list(source.sent(notes.append)))
    source.close()
    assert len(notes) == 1
    assert source.description["video"] == "h264 to H264 320x180"
    times = [item.seconds for item in video]
    assert times == sorted(times)
    assert len(video) > 40


def test_damage_is_passed_over(tmp_path: Path):
    path = write_source(tmp_path / "clip.ts", audio="aac")
    data = bytearray(path.read_bytes())
    for at in range(20_000, len(data), 5_000):
        data[at : at + 100] = bytes(100)
    path.write_bytes(data)
    _, sent = pulled(path)
    assert of("video", sent)


@contextmanager
def served(answer: bytes) -> Iterator[int]:
    """Takes connections, says `answer`, and nothing more; its port."""
    kept = []

    def serve() -> None:
        try:
            while True:
                connection, _ = listener.accept()
                kept.append(connection)
                connection.sendall(answer)
        except OSError:
            return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in kept:
        connection.close()


def refusal(url: str) -> str:
    with pytest.raises(SourceError) as caught:
        Source.open(Wish(url)).close()
    sentence = caught.value.message
    assert "geheim" not in sentence
    return sentence


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp"])
def test_a_server_that_says_nothing_is_not_waited_for(scheme: str):
    with served(b"") as port:
        assert refusal(f"{scheme}://me:geheim@127.0.0.1:{port}/a/b") == "The source says nothing."


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp"])
def test_garbage_is_an_error(scheme: str):
    with served(bytes(range(256)) * 64) as port:
        assert refusal(f"{scheme}://me:geheim@127.0.0.1:{port}/a/b").endswith(".")


def test_a_redirect_opens_no_file(tmp_path: Path):
    path = write_source(tmp_path / "clip.ts")
    answer = f"RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: file://{path}\r\n\r\n"
    with served(answer.encode()) as port:
        assert refusal(f"rtsp://127.0.0.1:{port}/a")


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n",
        "ffconcat version 1.0\nfile /etc/hostname\n",
        "v=0\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
    ],
)
def test_a_file_that_names_others_opens_none(tmp_path: Path, text: str):
    path = tmp_path / "innocent.mp4"
    path.write_text(text)
    assert refusal(f"file://{path}")


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert refusal(f"rtsp://me:geheim@127.0.0.1:{port}/") == "Nobody listens at this address."
    assert refusal("http://127.0.0.1/").startswith("A source begins with rtsp")
    assert refusal("file:///no/such/file").endswith("No such file or directory.")


def test_no_stream_is_no_source(tmp_path: Path):
    path = write_source(tmp_path / "clip.mp4", video=None)
    with pytest.raises(SourceError, match="neither"):
        Source.open(Wish(f"file://{path}", audio=False))


def test_a_picture_without_parameters_is_told_of(tmp_path: Path):
    """As of an encoder that says them once, to whoever was there at its start."""
    path = write_source(tmp_path / "clip.ts", options={"g": "30", "aud": "1"})
    data = path.read_bytes()
    for unit in (b"\0\0\1\x67", b"\0\0\1\x68"):
        data = data.replace(unit, unit[:3] + b"\x6c")  # filler
    path.write_bytes(data)
    assert "repeat them" in refusal(f"file://{path}")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"video": "libx265"}),
        ({}, {"audio": "aac"}),
        ({"video": "libx265"}, {"audio": "libopus", "video": "libx264"}),
        ({"audio": "aac"}, {}),
    ],
)
def test_a_codec_that_changes_is_told_of(
    tmp_path: Path, before: dict[str, str], after: dict[str, str]
):
    """FFmpeg goes on as if nothing had happened, where the transport stream's PIDs stay."""
    options = {"preset": "ultrafast", "x265-params": "log-level=none"}
    parts = [
        write_source(tmp_path / f"{number}.ts", seconds=4, options=options, **part).read_bytes()
        for number, part in enumerate((before, after))
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(parts))
    with pytest.raises(SourceError, match="changed its codec"):
        pulled(path)


def test_another_size_passes(tmp_path: Path):
    parts = [
        write_source(tmp_path / f"{size[0]}.ts", size=size).read_bytes()
        for size in ((320, 180), (640, 360))
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(parts))
    _, sent = pulled(path)
    decoder: Any = av.CodecContext.create("h264", "r")
    sizes = {
        frame.width for item in of("video", sent) for frame in decoder.decode(av.Packet(item.data))
    }
    assert sizes == {320, 640}


def test_the_end_of_a_live_source_is_an_error(tmp_path: Path, monkeypatch: Any):
    clip = write_source(tmp_path / "clip.ts")
    with clip.open("rb") as stream:
        monkeypatch.setattr(ingest_source.srt, "Receiver", lambda *arguments: stream)
        source = Source.open(Wish("srt://192.0.2.1:9"))
        sent = []
        with pytest.raises(SourceError, match="has ended"):
            sent.extend(source.sent())
        source.close()
    assert source.kinds == ["video", "audio"]
