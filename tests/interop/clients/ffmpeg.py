"""FFmpeg's whip muxer, as PyAV's wheels carry it: H264 and Opus, its own odd ICE and DTLS.

It is given a certificate (`-cert_file`, `-key_file`): built with GnuTLS it would make itself one of
P-224, a curve that OpenSSL 4 no longer knows in TLS (RFC 8422, section 5.1.1, deprecates it).
"""

import asyncio
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clients.headless.api import Api
from clients.headless.node import Node
from clients.headless.watch import School
from clients.headless.whip import Endpoint
from tests.clients.clips import write_clip
from tests.interop.row import Client, Row, Unavailable, until

_WHY_NOT = "FFmpeg's muxer only publishes: it has no WHEP, no simulcast, no data, no ICE restart."


async def check(node: Node, row: Row) -> None:
    """It teaches a lesson from a file; a school decodes it."""
    if "whip" not in av.formats_available:
        raise Unavailable(f"PyAV {av.__version__} carries FFmpeg without its whip muxer (8.0).")
    row.lacks(_WHY_NOT, "subscribe", "simulcast", "data", "resume")
    async with Api(node.url) as api:
        token = await api.become("teacher", "ffmpeg")
        pupil = await api.become("school", "ffmpeg")
        with tempfile.TemporaryDirectory() as folder:
            clip = write_clip(Path(folder) / "clip.mp4", seconds=10, layout="stereo")
            muxer = _Muxer(clip, f"{node.url}/ffmpeg/whip", token, certificate(Path(folder)))
            muxer.start()
            try:
                await until(lambda: _live(api, muxer), "the lesson")
                row.holds("connect")
                async with Endpoint(f"{node.url}/ffmpeg/whep", pupil) as endpoint:
                    school = School(endpoint)
                    await school.start()
                    await until(lambda: _frames(school, muxer), "pictures")
                    await school.stop()
                row.holds("publish")
            finally:
                muxer.stop.set()
                await asyncio.to_thread(muxer.join, 10)


async def _live(api: Api, muxer: "_Muxer") -> bool:
    if muxer.error is not None:
        raise muxer.error
    lesson = await api.live("ffmpeg")
    return lesson is not None and len(lesson["tracks"]) == 2


async def _frames(school: School, muxer: "_Muxer") -> bool:
    if muxer.error is not None:
        raise muxer.error
    report = await school.measure()
    return report.video_frames > 30 and report.audio_packets > 50


class _Muxer(threading.Thread):
    """Sends a file's packets as they are, at their times, again and again."""

    def __init__(self, clip: Path, url: str, token: str, options: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.error: Exception | None = None
        self._clip = clip
        self._url = url
        self._options = {**options, "authorization": token}

    def run(self) -> None:
        try:
            self._send()
        except Exception as error:
            self.error = error

    def _send(self) -> None:
        with (
            av.open(str(self._clip)) as source,
            av.open(self._url, "w", format="whip", options=self._options) as target,
        ):
            streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
            began, offset, end = time.monotonic(), Fraction(0), Fraction(0)
            first = Fraction(0)  # Opus begins before the pictures, by its lookahead
            while not self.stop.is_set():
                source.seek(0)
                for packet in source.demux():
                    if packet.dts is None or packet.time_base is None:
                        continue
                    due = offset + packet.dts * packet.time_base
                    if self.stop.wait(max(0.0, float(due) - (time.monotonic() - began))):
                        return
                    first = min(first, packet.dts * packet.time_base)
                    shift = round(offset / packet.time_base)
                    packet.pts = (packet.pts or 0) + shift
                    packet.dts += shift
                    packet.stream = streams[packet.stream.index]
                    end = max(end, (packet.dts + packet.duration) * packet.time_base)
                    target.mux(packet)
                offset = end - first


def certificate(folder: Path) -> dict[str, str]:
    """One of P-256 for any DTLS, as options of FFmpeg's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "interop")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    files = {
        "cert_file": made.public_bytes(pem),
        "key_file": key.private_bytes(pem, form, serialization.NoEncryption()),
    }
    for option, text in files.items():
        (folder / option).write_bytes(text)
    return {option: str(folder / option) for option in files}


CLIENT = Client(f"FFmpeg {av.ffmpeg_version_info} (WHIP)", check)
